"""Parses Redis URLs; error texts never contain any part of the URL."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Kind = Literal["server", "unix", "sentinel", "cluster"]

KINDS: dict[str, tuple[Kind, bool]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "valkey": ("server", False),
    "valkeys": ("server", True),
    "unix": ("unix", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:\[\]\s]+)(?::(?P<port>\d{1,5}))?")
_SHAPE = "redis://[user:password@]host:port/db"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL.

    Attributes:
        hosts: of the server, the Sentinels or some nodes of the Cluster.
        name: the path of a Unix socket, or the Sentinels' service name.
        tls: options of redis-py for a TLS connection, None without TLS.
        sentinel: credentials for the Sentinels themselves, under redis-py's names.
    """

    scheme: str
    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    name: str
    user: str | None
    password: str | None
    db: int
    tls: dict[str, str] | None
    sentinel: dict[str, str]

    def label(self) -> str:
        """The URL without secrets, for display."""
        user = f"{self.user}:***@" if self.user else ":***@" if self.password else ""
        if self.kind == "unix":
            return f"unix://{user}{self.name}?db={self.db}"
        hosts = ",".join(_host_and_port(host, port) for host, port in self.hosts)
        name = f"/{self.name}" if self.name else ""
        return f"{self.scheme}://{user}{hosts}{name}" + (
            "" if self.kind == "cluster" else f"/{self.db}"
        )


def parse_url(url: str) -> Target:
    """Parse `url`; raises `ValueError` with a text that is safe to show."""
    scheme, separator, remaining = url.partition("://")
    if not separator or scheme not in KINDS:
        raise ValueError(f"does not start with one of {', '.join(f'{name}://' for name in KINDS)}")
    try:
        parts = urlsplit(f"any://{remaining}")  # without rules for particular schemes
    except ValueError:
        raise ValueError(_malformed()) from None
    if parts.fragment:
        raise ValueError(_malformed())
    return _target(scheme, parts)


def _target(scheme: str, parts: SplitResult) -> Target:
    kind, tls = KINDS[scheme]
    userinfo, _, netloc = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    options = _options(parts.query, kind, tls)
    name, db = _name_and_db(kind, unquote(parts.path), options.pop("db", ""))
    return Target(
        scheme,
        kind,
        () if kind == "unix" else _hosts(netloc, 26379 if kind == "sentinel" else 6379),
        name,
        unquote(user) or None,
        unquote(password) or None,
        db,
        {name: options[name] for name in TLS_OPTIONS if name in options} if tls else None,
        {short: options[name] for name, short in SENTINEL_OPTIONS.items() if name in options},
    )


def _options(query: str, kind: Kind, tls: bool) -> dict[str, str]:
    known = ["db", *(TLS_OPTIONS if tls else ()), *(SENTINEL_OPTIONS if kind == "sentinel" else ())]
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= set(known):
        raise ValueError(f"has a parameter that is none of {', '.join(known)}")
    if options.get("ssl_cert_reqs", "none") not in ("none", "optional", "required"):
        raise ValueError("ssl_cert_reqs is none of none, optional, required")
    return options


def _name_and_db(kind: Kind, path: str, db: str) -> tuple[str, int]:
    if kind == "unix":
        if not path:
            raise ValueError("names no socket; write unix:///path/to/redis.sock")
        return path, _db(db)
    first, _, second = path.strip("/").partition("/")
    if kind == "sentinel":
        if not first:
            raise ValueError("names no service; write redis+sentinel://host:26379/service/db")
        return first, _db(second or db)
    if second:
        raise ValueError(f"has more than a database number in its path; write {_SHAPE}")
    number = _db(first or db)
    if kind == "cluster" and number:
        raise ValueError("names a database, and a Cluster has only number 0")
    return "", number


def _db(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"has a database that is no number; write {_SHAPE}")
    return int(text)


def _hosts(netloc: str, default_port: int) -> tuple[tuple[str, int], ...]:
    hosts: list[tuple[str, int]] = []
    for text in netloc.split(",") if netloc else ["localhost"]:
        match = _HOST.fullmatch(text)
        port = int(match["port"] or default_port) if match else 0
        if not match or not 0 < port < 65536:
            raise ValueError(_malformed())
        hosts.append((match["host"].strip("[]"), port))
    return tuple(hosts)


def _host_and_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _malformed() -> str:
    return f"has no valid host or port; write {_SHAPE}, special characters of a password as %XX"
