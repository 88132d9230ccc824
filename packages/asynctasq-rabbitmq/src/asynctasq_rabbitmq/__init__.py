"""The RabbitMQ driver of AsyncTasQ."""

from typing import TYPE_CHECKING

from asynctasq_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from asynctasq_rabbitmq.driver import RabbitMQDriver

__all__ = ["RabbitMQDriver", "RabbitMQSettings"]


def __getattr__(name: str) -> object:
    # every command reads the settings of every driver, which needs no client library
    if name == "RabbitMQDriver":
        from asynctasq_rabbitmq.driver import RabbitMQDriver

        return RabbitMQDriver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
