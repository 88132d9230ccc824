"""The settings of the Redis driver."""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator

from asynctasq.drivers import DriverSettings
from asynctasq_redis.url import Target, parse_url


class RedisSettings(DriverSettings):
    """Location of Redis or Valkey, and the names of its keys.

    Attributes:
        redis_url: a server (``redis://``, ``rediss://``, ``valkey://``, ``valkeys://``,
            ``unix://``), Sentinels (``redis+sentinel://host:26379,host/service/db``) or a
            Cluster (``redis+cluster://host:6379,host``).
        redis_password, redis_db: override those of the URL.
        redis_max_connections: most connections for commands; each waiting dequeue has its own.
        redis_prefix: the start of every key; keeps applications on one server apart.
        redis_events_channel: where ``--emit redis`` publishes; ``PREFIX:events`` if None.
    """

    url_field: ClassVar[str | None] = "redis_url"
    client_loggers: ClassVar[tuple[str, ...]] = ("redis",)
    redis_url: SecretStr = SecretStr("redis://localhost:6379")
    redis_password: SecretStr | None = None
    redis_db: Annotated[int, Field(ge=0)] | None = None
    redis_max_connections: int = Field(default=100, ge=1)
    redis_prefix: str = Field(default="asynctasq", pattern=r"^[A-Za-z0-9_.\-]+$")
    redis_events_channel: str | None = Field(default=None, min_length=1)

    @field_validator("redis_url")
    @classmethod
    def _url_is_valid(cls, value: SecretStr) -> SecretStr:
        parse_url(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _db_is_possible(self) -> "RedisSettings":
        if self.redis_db and parse_url(self.redis_url.get_secret_value()).kind == "cluster":
            raise ValueError("redis_db: a Cluster has only number 0")
        return self

    def target(self) -> Target:
        """The parsed URL, with `redis_password` and `redis_db` applied."""
        target = parse_url(self.redis_url.get_secret_value())
        if self.redis_password is not None:
            target = replace(target, password=self.redis_password.get_secret_value() or None)
        if self.redis_db is not None:
            target = replace(target, db=self.redis_db)
        return target

    def location(self) -> str:
        """The URL, with the database that applies and without the password."""
        return self.target().label()
