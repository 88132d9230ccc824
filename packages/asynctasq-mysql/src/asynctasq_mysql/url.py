"""Parses DSNs; error messages never show any part of a DSN."""

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SCHEMES = ("mysql", "mariadb")
OPTIONS = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "unix_socket", "charset")
TLS_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
_SHAPE = "mysql://user:password@host:3306/database"


@dataclass(frozen=True, slots=True)
class TLS:
    """The encryption of a connection; modes as in MySQL's own clients.

    Attributes:
        ca, cert, key: paths of PEM files, or "".
    """

    mode: str
    ca: str
    cert: str
    key: str


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """A parsed DSN; `socket` is a path, or ""."""

    host: str
    port: int
    socket: str
    user: str | None
    password: str
    database: str
    tls: TLS

    def label(self) -> str:
        """Return a DSN for people to read, without the password."""
        password = ":***" if self.password else ""
        user = f"{self.user or ''}{password}@" if self.user or password else ""
        if self.socket:
            return f"mysql://{user}/{self.database}?unix_socket={self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mysql://{user}{host}:{self.port}/{self.database}"


def parse_dsn(dsn: str) -> Target:
    """Parse `dsn`; raise `ValueError` with a text that is safe to show.

    SQLAlchemy's URLs are accepted: a client library named after a ``+`` in the scheme is ignored.
    """
    scheme, separator, remaining = dsn.partition("://")
    if not separator or scheme.partition("+")[0].lower() not in SCHEMES:
        raise ValueError(f"does not start with mysql:// or mariadb://; write {_SHAPE}")
    try:
        parts = urlsplit(f"mysql://{remaining}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_malformed()) from None
    if parts.fragment or port == 0 or any(character.isspace() for character in parts.netloc):
        raise ValueError(_malformed())
    options = _options(parts.query)
    return Target(
        host=unquote(host or "localhost"),
        port=port or 3306,
        socket=options.get("unix_socket", ""),
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password or ""),
        database=_database(parts),
        tls=_tls(options),
    )


def _database(parts: SplitResult) -> str:
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in database:
        raise ValueError(f"does not end with the name of a database; write {_SHAPE}")
    if len(database) > 64 or not database.isprintable():
        raise ValueError("has a database name that MySQL does not allow")
    return database


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= set(OPTIONS):
        raise ValueError(f"has an unknown parameter; known are {', '.join(OPTIONS)}")
    if options.get("charset", "utf8mb4") != "utf8mb4":
        raise ValueError("has a charset other than utf8mb4, which the driver always uses")
    return options


def _tls(options: dict[str, str]) -> TLS:
    ca, cert, key = (options.get(name, "") for name in ("ssl_ca", "ssl_cert", "ssl_key"))
    mode = options.get("ssl_mode", "verify_ca" if ca else "preferred").lower().replace("-", "_")
    if mode not in TLS_MODES:
        raise ValueError(f"has an unknown ssl_mode; known are {', '.join(TLS_MODES)}")
    if key and not cert:
        raise ValueError("has an ssl_key without its ssl_cert")
    if mode == "disabled" and (ca or cert):
        raise ValueError("has ssl_mode=disabled and certificates; omit one of them")
    return TLS(mode, ca, cert, key)


def _malformed() -> str:
    return f"has no valid host or port; write {_SHAPE}, special characters of a password as %XX"
