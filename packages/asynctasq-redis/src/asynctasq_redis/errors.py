"""From the exceptions of redis-py to those of the seam."""

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

#: Refusals that end: a load, a fail-over, a slot that moves, a full disk, a script that runs on.
_PASSING = (
    *("LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "UNBLOCKED"),
    *("MISCONF", "NOREPLICAS", "BUSY"),
)
_REFUSED = ("NOAUTH", "WRONGPASS", "invalid username-password", "Authentication required")


@contextmanager
def translate_errors(location: str) -> Generator[None]:
    """Raise what redis-py raises in the block as an error of the seam about `location`."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        raise translated(error, location) from error


def translated(error: BaseException, location: str) -> BrokerError:
    """The error of the seam that `error` means."""
    text = str(error).partition("\n")[0]
    if isinstance(error, (AuthenticationError, AuthorizationError)) or _says(text, *_REFUSED):
        return BrokerRejected(
            f"Redis at {location} refuses the credentials; check redis_password and redis_url"
        )
    if isinstance(error, NoPermissionError):
        return BrokerRejected(f"the user of redis_url lacks a permission at {location}: {text}")
    if isinstance(error, OutOfMemoryError):
        return BrokerUnavailable(f"Redis at {location} is full; raise its maxmemory")
    if isinstance(error, ReadOnlyError):
        return BrokerUnavailable(f"Redis at {location} is a replica now; write to its master")
    if "DB index" in text:
        return BrokerRejected(f"Redis at {location} has no such database; check redis_db")
    if _passes(error, text):
        return BrokerUnavailable(f"Redis at {location} is not ready: {text}")
    if isinstance(error, ResponseError):
        return BrokerRejected(f"Redis at {location} refuses: {text}")
    return BrokerUnavailable(f"cannot reach Redis at {location}: {_cause(error)}")


def _passes(error: BaseException, text: str) -> bool:
    passing = (BusyLoadingError, ClusterDownError, TryAgainError, AskError)
    return isinstance(error, passing) or text.startswith(_PASSING)


def _says(text: str, *words: str) -> bool:
    return any(word in text for word in words)


def _cause(error: BaseException) -> str:
    if isinstance(error, MasterNotFoundError):
        return "its Sentinels cannot be reached, or know no master of this name"
    if isinstance(error, (TimeoutError, OSError)) and not str(error):
        return "no answer in time"
    if isinstance(error, (ConnectionError, TimeoutError, OSError)):
        return str(error).partition("\n")[0]
    return type(error).__name__
