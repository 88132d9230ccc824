"""From the exceptions of MySQL's clients to those of the seam, by the server's error numbers."""

import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager

import pymysql

from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable

MIGRATE = "run: asynctasq migrate --driver mysql"

#: A deadlock, a lock that was waited for too long, either of them over the next number of a table,
#: and MariaDB's word for a row that has changed.
CONFLICTS = frozenset({1213, 1205, 1467, 1020})
#: Refusals that end: shutdown and fail-over, no connection left, a full disk, a call cut short.
_PASSING = CONFLICTS | {
    *(1021, 1028, 1040, 1041, 1047, 1053, 1077, 1079, 1105, 1114, 1158, 1159, 1160, 1161, 1180),
    *(1203, 1226, 1290, 1317, 1792, 1836, 1927, 1969, 3024, 3032, 3168, 4031),
}
#: Rights that are missing.
DENIED = frozenset({1044, 1142, 1143, 1227, 1370, 1410})
_RIGHT = re.compile(r"([A-Z][A-Z, ]*?) command denied")
_USER = re.compile(r"'[^']*'@'[^']*'")
_LASTING = {
    1045: "refuses the credentials; check user and password of mysql_dsn",
    1698: "refuses the credentials; check user and password of mysql_dsn",
    1049: "has no database of this name; create it, or change mysql_dsn",
    1129: "refuses this host after too many failures; run FLUSH HOSTS there",
    1130: "takes no connections of this user from this host; check its account",
    1146: f"has no tables of this queue, or not all; {MIGRATE}",
    1054: f"has tables of another version; {MIGRATE}",
    1153: "takes no packets that large; raise its max_allowed_packet",
    1665: "writes its binary log by statements; set binlog_format to ROW or MIXED",
}


class NotEncrypted(Exception):
    """The server offers no TLS, and the DSN wants it."""


@contextmanager
def translate_errors(location: str) -> Generator[None]:
    """Raise what the client raises in the block as an error of the seam about `location`."""
    try:
        yield
    # uvloop says RuntimeError of a connection that is gone
    except (pymysql.Error, NotEncrypted, OSError, RuntimeError) as error:
        raise translated(error, location) from error


def translated(error: BaseException, location: str) -> BrokerError:
    """The error of the seam that `error` means."""
    code, text = error_code(error), error_text(error)
    if code in _LASTING:
        return BrokerRejected(f"MySQL at {location} {_LASTING[code]}")
    if code in DENIED:
        return BrokerRejected(f"MySQL at {location} refuses: {text}; {_grant(text)}")
    if code in _PASSING:
        return BrokerUnavailable(f"MySQL at {location} is not ready: {text}")
    if isinstance(error, NotEncrypted):
        return BrokerRejected(f"MySQL at {location} offers no TLS; set it up, or drop ssl_mode")
    if isinstance(cause := _cause(error), ssl.SSLCertVerificationError):
        return BrokerRejected(
            f"the certificate of MySQL at {location} is not trusted ({cause.verify_message});"
            " check ssl_ca and ssl_mode of mysql_dsn"
        )
    if (isinstance(error, pymysql.Error) and 1000 <= code < 2000) or code >= 3000:
        return BrokerRejected(f"MySQL at {location} refuses: {text}")
    return BrokerUnavailable(f"cannot reach MySQL at {location}: {_reason(error)}")


def is_conflict(error: pymysql.Error) -> bool:
    """Whether others were in the way, and the transaction may be tried again."""
    return error_code(error) in CONFLICTS


def error_code(error: BaseException) -> int:
    """The server's number of an error of any client library, 0 if it has none."""
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) and not isinstance(error, OSError) else 0


def error_text(error: BaseException) -> str:
    """The first line of what the server or the client says."""
    text = str(error.args[1]) if error_code(error) and len(error.args) > 1 else str(error)
    return text.partition("\n")[0]


def _grant(text: str) -> str:
    """What an administrator has to run for a call that was refused with `text`."""
    right = match[1] if (match := _RIGHT.match(text)) else "SELECT, INSERT, UPDATE, DELETE"
    user = match[0] if (match := _USER.search(text)) else "the user of mysql_dsn"
    return f"as an administrator run: GRANT {right} ON database.* TO {user}"


def _cause(error: BaseException) -> BaseException:
    """What the system said, where the client library says it in its own words."""
    while error.__cause__ is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error


def _reason(error: BaseException) -> str:
    cause = _cause(error)
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError):
        return str(cause).partition("\n")[0] or type(cause).__name__
    return error_text(error) or type(error).__name__
