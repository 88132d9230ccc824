"""From a DSN to what it points at; its errors never show any part of the DSN."""

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SCHEMES = ("mysql", "mariadb")
OPTIONS = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "unix_socket", "charset")
TLS_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
_SHAPE = "mysql://user:password@host:3306/database"


@dataclass(frozen=True, slots=True)
class TLS:
    """How a connection is encrypted; the modes are those of MySQL's own clients.

    Attributes:
        ca, cert, key: paths of PEM files, or "".
    """

    mode: str
    ca: str
    cert: str
    key: str


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """What a DSN points at; `socket` is a path, or ""."""

    host: str
    port: int
    socket: str
    user: str | None
    password: str
    database: str
    tls: TLS

    def label(self) -> str:
        """What it points at, for people to read: no secrets."""
        password = ":***" if self.password else ""
        user = f"{self.user or ''}{password}@" if self.user or password else ""
        if self.socket:
            return f"mysql://{user}/{self.database}?unix_socket={self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mysql://{user}{host}:{self.port}/{self.database}"


def parse_dsn(dsn: str) -> Target:
    """What `dsn` points at; raises `ValueError` with a text that is safe to show.

    SQLAlchemy's URLs are taken, too: what follows a ``+`` in the scheme names a client library,
    and which one we use is not for a URL to say.
    """
    scheme, separator, rest = dsn.partition("://")
    if not separator or scheme.partition("+")[0].lower() not in SCHEMES:
        raise ValueError(f"does not start with mysql:// or mariadb://; write {_SHAPE}")
    try:
        parts = urlsplit(f"mysql://{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_malformed()) from None
    if parts.fragment or port == 0 or any(one.isspace() for one in parts.netloc):
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
        raise ValueError("has a database whose name MySQL does not allow")
    return database


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= set(OPTIONS):
        raise ValueError(f"has a parameter that is none of {', '.join(OPTIONS)}")
    if options.get("charset", "utf8mb4") != "utf8mb4":
        raise ValueError("has another charset than utf8mb4, which is the one that is used")
    return options


def _tls(options: dict[str, str]) -> TLS:
    ca, cert, key = (options.get(name, "") for name in ("ssl_ca", "ssl_cert", "ssl_key"))
    mode = options.get("ssl_mode", "verify_ca" if ca else "preferred").lower().replace("-", "_")
    if mode not in TLS_MODES:
        raise ValueError(f"has an ssl_mode that is none of {', '.join(TLS_MODES)}")
    if key and not cert:
        raise ValueError("has an ssl_key without the ssl_cert it belongs to")
    if mode == "disabled" and (ca or cert):
        raise ValueError("has ssl_mode=disabled, and certificates; leave one of them out")
    return TLS(mode, ca, cert, key)


def _malformed() -> str:
    return f"has no valid host or port; write {_SHAPE}, special characters of a password as %XX"
