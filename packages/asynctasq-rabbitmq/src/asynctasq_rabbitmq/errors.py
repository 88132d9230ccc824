"""From the refusals of RabbitMQ and the exceptions of its client to those of the seam."""

import re

from aiormq.exceptions import AMQPError, AuthenticationError, ProbableAuthenticationError

from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable

#: Reply codes that mean: not now.
_PASSING = (320, 311, 405, 506, 541)

_INEQUIVALENT = re.compile(r"inequivalent arg '(?P<argument>[^']+)' for (?P<what>.+?) in vhost")


class ChannelClosed(Exception):
    """The broker closed a channel: a call was refused."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class LinkLost(Exception):
    """A connection has ended."""


def connecting_failed(error: BaseException, refusal: str, location: str) -> BrokerError:
    """The error of the seam for what prevents a connection; `refusal` is what the broker said."""
    if isinstance(error, (ProbableAuthenticationError, AuthenticationError)):
        return BrokerRejected(f"RabbitMQ at {location} refuses the credentials; check rabbitmq_url")
    if "vhost" in refusal:
        why = "has no such virtual host" if "not found" in refusal else "refuses the virtual host"
        return BrokerRejected(f"RabbitMQ at {location} {why}; check the path of rabbitmq_url")
    text = refusal.partition("\n")[0] or _text(error)
    if isinstance(error, TimeoutError):
        return BrokerUnavailable(f"cannot reach RabbitMQ at {location}: no answer in time")
    return BrokerUnavailable(f"cannot reach RabbitMQ at {location}: {text}")


def translated(error: ChannelClosed | LinkLost, location: str) -> BrokerError:
    """The error of the seam for a refused call or a connection that ended in the middle."""
    if isinstance(error, LinkLost):
        return BrokerUnavailable(f"the connection to RabbitMQ at {location} ended: {error}")
    if found := _INEQUIVALENT.search(error.text):
        return BrokerRejected(
            f"{found['what']} at {location} exists with another {found['argument']};"
            " delete it yourself when it is empty, or choose another rabbitmq_exchange_name"
        )
    text = error.text.partition("\n")[0]
    if error.code == 403:
        return BrokerRejected(f"the user of rabbitmq_url lacks a permission at {location}: {text}")
    if error.code == 404 or error.code in _PASSING:
        return BrokerUnavailable(f"RabbitMQ at {location} is not ready: {text}")
    return BrokerRejected(f"RabbitMQ at {location} refuses: {text}")


def _text(error: BaseException) -> str:
    if isinstance(error, AMQPError):
        return " ".join(str(argument) for argument in error.args) or type(error).__name__
    return str(error).partition("\n")[0] or type(error).__name__
