"""Translates refusals of RabbitMQ and exceptions of its client into errors of the seam."""

import re

from aiormq.exceptions import AMQPError, AuthenticationError, ProbableAuthenticationError

from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable

#: Reply codes of temporary refusals.
_PASSING = (320, 311, 405, 506, 541)

#: Texts in a refused connection, each with advice; the first match counts.
_REFUSALS = (
    ("is down", "has a virtual host that is down; start it by rabbitmqctl restart_vhost"),
    ("limit (", "accepts no more connections; raise the limit, or run fewer workers"),
    ("not found", "has no such virtual host; check the path of rabbitmq_url"),
    ("vhost", "refuses the virtual host; check the path of rabbitmq_url and the permissions"),
    ("NOT_ALLOWED", "refuses the connection; check rabbitmq_url and the limits of the broker"),
    ("ACCESS_REFUSED", "refuses the connection; check rabbitmq_url and the user's permissions"),
)
_INEQUIVALENT = re.compile(r"inequivalent arg '(?P<argument>[^']+)' for (?P<entity>.+?) in vhost")


class ChannelClosed(Exception):
    """The broker closed a channel because it refused a call."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class LinkLost(Exception):
    """A connection has ended."""


def connecting_failed(error: BaseException, refusal: str, location: str) -> BrokerError:
    """Return the error of the seam for a failed connection; `refusal` is the broker's reason."""
    refusal = refusal.partition("\n")[0]
    if isinstance(error, ProbableAuthenticationError):
        return BrokerRejected(f"RabbitMQ at {location} refuses the credentials; check rabbitmq_url")
    if isinstance(error, AuthenticationError):
        return BrokerRejected(
            f"RabbitMQ at {location} does not offer this way to authenticate;"
            " check ?auth= of rabbitmq_url"
        )
    if advice := next((text for sign, text in _REFUSALS if sign in refusal), None):
        return BrokerRejected(f"RabbitMQ at {location} {advice}: {refusal}")
    if isinstance(error, TimeoutError):
        return BrokerUnavailable(f"cannot reach RabbitMQ at {location}: no answer in time")
    if isinstance(error, (AMQPError, OSError, EOFError)):
        text = refusal or _text(error)
        return BrokerUnavailable(f"cannot reach RabbitMQ at {location}: {text}")
    return BrokerRejected(
        f"cannot connect to RabbitMQ at {location}; check rabbitmq_url ({type(error).__name__})"
    )


def translated(error: ChannelClosed | LinkLost, location: str) -> BrokerError:
    """Return the error of the seam for a refused call or a lost connection."""
    if isinstance(error, LinkLost):
        return BrokerUnavailable(f"the connection to RabbitMQ at {location} ended: {error}")
    if found := _INEQUIVALENT.search(error.text):
        return BrokerRejected(
            f"{found['entity']} at {location} exists with another {found['argument']};"
            " delete it when it is empty, or choose another rabbitmq_exchange_name"
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
