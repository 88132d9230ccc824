"""The AWS SQS driver of AsyncTasQ."""

from typing import TYPE_CHECKING

from asynctasq_sqs.settings import SQSSettings

if TYPE_CHECKING:
    from asynctasq_sqs.driver import SQSDriver

__all__ = ["SQSDriver", "SQSSettings"]


def __getattr__(name: str) -> object:
    # every command reads the settings of every driver, which needs no client library
    if name == "SQSDriver":
        from asynctasq_sqs.driver import SQSDriver

        return SQSDriver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
