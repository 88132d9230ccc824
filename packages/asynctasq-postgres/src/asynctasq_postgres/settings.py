"""The settings of the PostgreSQL driver."""

import re
from typing import ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from asynctasq.drivers import DriverSettings
from asynctasq.settings import mask_url
from asynctasq_postgres.names import Names, check_table_name

_SHAPE = "write postgresql://user:password@host:5432/database"
_SCHEME = re.compile(r"postgres(?:ql)?(?:\+\w+)?://")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\[\]:@/?#\s]*)(?::(?P<port>\d{1,5}))?")


class PostgresSettings(DriverSettings):
    """The server's address, the tables of messages, and the use of connections.

    Attributes:
        postgres_dsn: ``postgresql://user:password@host:5432/database``, with the options of libpq
            after a ``?`` (``sslmode``, ``host``, ``target_session_attrs``, …); write special
            characters as ``%XX``.
        postgres_queue_table: the table of messages, optionally with its schema; the names of the
            driver's other tables and of its functions start with this name.
        postgres_dead_letter_table: the table of dead messages.
        postgres_min_pool_size: connections that stay open.
        postgres_max_pool_size: most connections; a worker has one more, for notifications.
        postgres_notify: announce new messages with NOTIFY; without it, a waiting worker polls
            every `postgres_poll_interval`.
        postgres_poll_interval: seconds between polls while no notifications arrive.
        postgres_statement_cache_size: prepared statements kept by each connection; 0 behind a
            pooler that switches connections between transactions.
    """

    url_field: ClassVar[str | None] = "postgres_dsn"
    client_loggers: ClassVar[tuple[str, ...]] = ("asyncpg",)
    postgres_dsn: SecretStr = SecretStr("postgresql://localhost:5432")
    postgres_queue_table: str = "asynctasq_queue"
    postgres_dead_letter_table: str = "asynctasq_dead_letters"
    postgres_min_pool_size: int = Field(default=1, ge=0)
    postgres_max_pool_size: int = Field(default=10, ge=1)
    postgres_notify: bool = True
    postgres_poll_interval: float = Field(default=1.0, ge=0.01, le=60)
    postgres_statement_cache_size: int = Field(default=100, ge=0)

    @field_validator("postgres_dsn")
    @classmethod
    def _dsn_is_valid(cls, value: SecretStr) -> SecretStr:
        dsn = value.get_secret_value()
        if not _SCHEME.match(dsn):
            raise ValueError(_SHAPE)
        authority = re.split(r"[/?#]", dsn.partition("://")[2], maxsplit=1)[0]
        if authority.count("@") > 1:
            raise ValueError(
                f"{_SHAPE}; special characters of a password as %XX, such as %40 for @"
            )
        for host in authority.rpartition("@")[2].split(","):
            match = _HOST.fullmatch(host)
            if match is None or int(match["port"] or 1) not in range(1, 65536):
                raise ValueError(
                    f"{_SHAPE}; it has no valid host or port, or a password that"
                    " needs its special characters written as %XX"
                )
        return value

    @field_validator("postgres_queue_table", "postgres_dead_letter_table")
    @classmethod
    def _table_is_valid(cls, value: str) -> str:
        return check_table_name(value)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.postgres_min_pool_size > self.postgres_max_pool_size:
            raise ValueError("postgres_min_pool_size: is larger than postgres_max_pool_size")
        relations = self.names().relations()
        if len(set(relations)) < len(relations):
            raise ValueError(
                "postgres_dead_letter_table: its name, or its index's, is that of another table or"
                " index of the driver"
            )
        return self

    def dsn(self) -> str:
        """Return the DSN for asyncpg, without the client name that SQLAlchemy's URLs have."""
        return _SCHEME.sub("postgresql://", self.postgres_dsn.get_secret_value(), count=1)

    def names(self) -> Names:
        """Return the names of tables and functions."""
        return Names(self.postgres_queue_table, self.postgres_dead_letter_table)

    def location(self) -> str:
        """Return the DSN without its password."""
        return mask_url(self.dsn())
