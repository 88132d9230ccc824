"""Translates the exceptions of redis-py to those of the seam.

A refusal begins with its code. In a script, Redis 6.2 puts the code behind the position in the
script (``Error running script (call to f_…): @user_script:41: -READONLY …``), and a transaction
puts it behind its own, so all these positions are searched.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable

#: Everything that redis-py raises on purpose.
REDIS_ERRORS = (RedisError, RedisClusterException, OSError)

#: redis-py strips the code from the text of these; a class precedes its base classes.
_CODES = {
    ReadOnlyError: "READONLY",
    OutOfMemoryError: "OOM",
    BusyLoadingError: "LOADING",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",
    TryAgainError: "TRYAGAIN",
    MovedError: "MOVED",
    AskError: "ASK",
    NoPermissionError: "NOPERM",
}
#: Codes of servers that are not, or no longer, the master.
_NOT_MASTER = frozenset({"READONLY", "MASTERDOWN", "NOMASTERLINK", "UNBLOCKED", "REDIRECT"})
#: Temporary refusals: loading, a fail-over, a moving slot, a full server, a running script.
_PASSING = _NOT_MASTER | {
    *("LOADING", "BUSY", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK"),
    *("MISCONF", "NOREPLICAS", "OOM"),
}
#: Permanent refusals.
_LASTING = frozenset({"NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE", "CROSSSLOT"})
_CODE = re.compile(r"(?:^-?|[\s:]-|: )([A-Z]{3,})(?= |$)")
#: Temporary refusals without a code.
_PASSING_WORDS = (
    "max number of clients",
    "while the cluster is down",
    "attempted to access a non local key",
    "Script killed by user",
)
_REFUSED = ("NOAUTH", "WRONGPASS", "invalid username-password", "Authentication required")
_NO_PERMISSION = "The user executing the script can't"


@contextmanager
def translate_errors(location: str) -> Generator[None]:
    """Raise redis-py's errors in the block as errors of the seam about `location`."""
    try:
        yield
    except REDIS_ERRORS as error:
        raise translated(error, location) from error


def translated(error: BaseException, location: str) -> BrokerError:
    """Return the seam's error for `error`."""
    text, code = str(error).partition("\n")[0], code_of(error)
    if isinstance(error, (AuthenticationError, AuthorizationError)) or _says(text, *_REFUSED):
        return BrokerRejected(
            f"Redis at {location} refuses the credentials; check redis_password and redis_url"
        )
    if code == "NOPERM" or _NO_PERMISSION in text:
        return BrokerRejected(f"the user of redis_url lacks a permission at {location}: {text}")
    if code in _PASSING or _says(text, *_PASSING_WORDS):
        return BrokerUnavailable(_passing(code, text, location))
    if "DB index" in text:
        return BrokerRejected(f"Redis at {location} has no such database; check redis_db")
    if isinstance(error, ResponseError):
        return BrokerRejected(f"Redis at {location} refuses: {text}")
    return BrokerUnavailable(f"cannot reach Redis at {location}: {_cause(error)}")


def code_of(error: BaseException) -> str:
    """Return the code of a refusal; empty if it has no known code."""
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    if not isinstance(error, ResponseError):
        return ""
    codes = _CODE.findall(str(error).partition("\n")[0])
    return next((code for code in codes if code in _PASSING or code in _LASTING), "")


def is_answer(error: BaseException) -> bool:
    """Return whether `error` is a refusal by the server, so that nothing was executed."""
    return isinstance(error.__cause__, ResponseError)


def is_from_a_replica(reply: object) -> bool:
    """Return whether a reply is the refusal of a server that is not the master."""
    return isinstance(reply, ResponseError) and code_of(reply) in _NOT_MASTER


def _passing(code: str, text: str, location: str) -> str:
    if code == "OOM":
        return f"Redis at {location} is full; raise its maxmemory"
    if code == "READONLY":
        return f"Redis at {location} is a replica now; write to its master"
    return f"Redis at {location} is not ready: {text if code in text else f'{code} {text}'}"


def _says(text: str, *words: str) -> bool:
    return any(word in text for word in words)


def _cause(error: BaseException) -> str:
    if isinstance(error, MasterNotFoundError):
        return "its Sentinels cannot be reached, or have no master of this name"
    if isinstance(error, (TimeoutError, OSError)) and not str(error):
        return "no answer in time"
    if isinstance(error, (ConnectionError, TimeoutError, OSError)):
        return str(error).partition("\n")[0]
    return type(error).__name__
