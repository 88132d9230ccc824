"""Translates exceptions of MySQL clients into the seam's, by the server's error numbers."""

import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager

import pymysql

from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable

MIGRATE = "run: asynctasq migrate --driver mysql"

#: Deadlock, lock wait timeout, failure to read an auto-increment value (caused by either), and
#: MariaDB's "record has changed since last read".
CONFLICTS = frozenset({1213, 1205, 1467, 1020})
#: Temporary refusals: shutdown, fail-over, too many connections, a full disk, an aborted query.
_PASSING = CONFLICTS | {
    *(1021, 1028, 1040, 1041, 1047, 1053, 1077, 1079, 1105, 1114, 1158, 1159, 1160, 1161, 1180),
    *(1203, 1226, 1290, 1317, 1792, 1836, 1927, 1969, 3024, 3032, 3168, 4031),
}
#: A missing right.
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
    """The server offers no TLS, which the DSN requires."""


@contextmanager
def translate_errors(location: str) -> Generator[None]:
    """Translate exceptions of the client in the block into errors of the seam."""
    try:
        yield
    # uvloop raises RuntimeError when it writes to a closed connection
    except (pymysql.Error, NotEncrypted, OSError, RuntimeError) as error:
        raise translated(error, location) from error


def translated(error: BaseException, location: str) -> BrokerError:
    """Return the error of the seam for `error`."""
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
    """Whether a concurrent transaction interfered, so that a retry may succeed."""
    return error_code(error) in CONFLICTS


def error_code(error: BaseException) -> int:
    """Return the server's number of an error of any client library, 0 if it has none."""
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) and not isinstance(error, OSError) else 0


def error_text(error: BaseException) -> str:
    """Return the first line of the message of the server or the client."""
    text = str(error.args[1]) if error_code(error) and len(error.args) > 1 else str(error)
    return text.partition("\n")[0]


def _grant(text: str) -> str:
    """Return advice with the GRANT that is missing, from the text of a refusal."""
    right = match[1] if (match := _RIGHT.match(text)) else "SELECT, INSERT, UPDATE, DELETE"
    user = match[0] if (match := _USER.search(text)) else "the user of mysql_dsn"
    return f"as an administrator run: GRANT {right} ON database.* TO {user}"


def _cause(error: BaseException) -> BaseException:
    """Return the operating system's error, where the client library wraps one."""
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
