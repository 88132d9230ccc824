"""Translates exceptions of asyncpg, and of other clients, into errors of the seam."""

# pyright: reportMissingTypeStubs=false
# asyncpg ships no types

import re
from collections.abc import Generator
from contextlib import contextmanager

from asyncpg import InterfaceError, InternalClientError, PostgresError
from asyncpg.exceptions import ClientConfigurationError, DataError

from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable

#: Exceptions of asyncpg, and of the network below it.
FAILURES: tuple[type[Exception], ...] = (
    PostgresError,
    InterfaceError,
    InternalClientError,
    OSError,
    ValueError,
)

MIGRATE = "run: asynctasq migrate --driver postgres"
#: SQLSTATE of a serialization failure and of a deadlock: the next attempt succeeds.
AGAIN = ("40001", "40P01")

_CREDENTIALS = ("28000", "28P01")
_NO_TABLES = ("42P01", "42883", "42703")
#: SQLSTATE, or classes of it, of temporary errors: connections, resources, an administrator's
#: intervention, rolled back transactions, system failures.
_TEMPORARY = ("08", "40", "53", "55", "57", "58", "25006")
_DENIED = re.compile(r"permission denied for (\w+) (\S+)")
_GRANTS = {
    "table": "SELECT, INSERT, UPDATE, DELETE ON",
    "function": "EXECUTE ON FUNCTION",
    "schema": "USAGE, CREATE ON SCHEMA",
    "database": "CONNECT ON DATABASE",
}


@contextmanager
def translate_errors(location: str) -> Generator[None]:
    """Raise exceptions of asyncpg in the block as errors of the seam about `location`."""
    try:
        yield
    except FAILURES as error:
        raise translated(error, location) from error


def translated(error: BaseException, location: str) -> BrokerError:
    """Return the error of the seam for `error`, an exception of any client of PostgreSQL."""
    state, text = sqlstate(error), _first_line(error)
    if state:
        return _refusal(state, text, location)
    if isinstance(error, (ClientConfigurationError, DataError)):
        return BrokerRejected(f"PostgreSQL at {location} cannot be queried: {text}")
    if isinstance(error, ValueError) and not isinstance(error, InterfaceError):
        return BrokerRejected(f"PostgreSQL at {location} cannot be queried: check postgres_dsn")
    if isinstance(error, TimeoutError):
        text = "no answer in time"
    return BrokerUnavailable(f"cannot reach PostgreSQL at {location}: {text}")


def sqlstate(error: BaseException) -> str:
    """Return the server's error code, also of a wrapped error; empty if there is none."""
    for cause in (error, getattr(error, "orig", None), error.__cause__):
        code: object = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        if isinstance(code, str):
            return code
    return ""


def _refusal(state: str, text: str, location: str) -> BrokerError:
    at = f"PostgreSQL at {location}"
    if state in _CREDENTIALS:
        return BrokerRejected(f"{at} refuses the user or the password of postgres_dsn: {text}")
    if state == "3D000":
        return BrokerRejected(f"{at} has no such database; create it, or check postgres_dsn")
    if state == "3F000":
        return BrokerRejected(f"{at} has no such schema; create it first: {text}")
    if state in _NO_TABLES:
        return BrokerRejected(f"{at} has no tables for AsyncTasQ, or outdated ones; {MIGRATE}")
    if state == "42501":
        return BrokerRejected(
            f"the user of postgres_dsn lacks a right at {location}: {_denied(text)}"
        )
    if state == "53300":
        return BrokerUnavailable(
            f"{at} has no connection left; lower postgres_max_pool_size, or raise its"
            " max_connections"
        )
    if state == "25006":
        return BrokerUnavailable(f"{at} is read-only, perhaps a standby; connect to its primary")
    if state.startswith(_TEMPORARY):
        return BrokerUnavailable(f"{at} is not ready: {text}")
    return BrokerRejected(f"{at} refuses: {text}")


def _denied(text: str) -> str:
    """Add the GRANT that is missing, if `text` names it."""
    match = _DENIED.search(text)
    grant = _GRANTS.get(match[1]) if match else None
    return f"{text}; GRANT {grant} {match[2]}" if match and grant else text


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
