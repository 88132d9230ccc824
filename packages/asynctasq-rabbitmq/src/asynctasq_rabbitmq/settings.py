"""The settings of the RabbitMQ driver."""

from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from yarl import URL

from asynctasq.drivers import DriverSettings
from asynctasq.settings import mask_url

#: Heartbeat interval of AMQP connections in seconds.
HEARTBEAT = 10


class RabbitMQSettings(DriverSettings):
    """The broker's URL, the names of its queues, and the prefetch limit.

    Attributes:
        rabbitmq_url: ``amqp://user:password@host:5672/vhost``, or ``amqps://`` with TLS; the
            virtual host ``/`` is written as no path, or as ``%2F``.
        rabbitmq_exchange_name: prefix of the name of every queue and exchange; separates
            applications in one virtual host.
        rabbitmq_prefetch_count: maximum number of unacknowledged messages of a queue; None matches
            it to the demand of the worker.
        rabbitmq_management_url: URL of the management API, ``http://user:password@host:15672``;
            without credentials, those of `rabbitmq_url` are used.
    """

    url_field: ClassVar[str | None] = "rabbitmq_url"
    client_loggers: ClassVar[tuple[str, ...]] = ("aio_pika", "aiormq")
    rabbitmq_url: SecretStr = SecretStr("amqp://guest:guest@localhost:5672/")
    rabbitmq_exchange_name: str = Field(
        default="asynctasq", pattern=r"^[A-Za-z0-9_.\-]+$", max_length=60
    )
    rabbitmq_prefetch_count: int | None = Field(default=None, ge=1, le=65535)
    rabbitmq_management_url: SecretStr | None = None

    @field_validator("rabbitmq_url")
    @classmethod
    def _url_is_valid(cls, value: SecretStr) -> SecretStr:
        _parsed(value.get_secret_value(), ("amqp", "amqps"), "amqp://user:password@host:5672/vhost")
        return value

    @field_validator("rabbitmq_exchange_name")
    @classmethod
    def _name_is_free(cls, value: str) -> str:
        if value.startswith("amq."):
            raise ValueError("names that start with amq. are the broker's own")
        return value

    @field_validator("rabbitmq_management_url")
    @classmethod
    def _management_url_is_valid(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _parsed(value.get_secret_value(), ("http", "https"), "http://user:password@host:15672")
        return value

    def url(self) -> URL:
        """Return the broker's URL, completed with heartbeat and credentials."""
        url = URL(self.rabbitmq_url.get_secret_value())
        if url.user is None:
            url = url.with_user("guest").with_password("guest")
        if "heartbeat" not in url.query:
            url = url.update_query(heartbeat=str(HEARTBEAT))
        return url

    def vhost(self) -> str:
        """Return the virtual host."""
        return self.url().path.removeprefix("/").replace("%2F", "/") or "/"

    def management_url(self) -> URL | None:
        """Return the URL of the management API with credentials, None if not set."""
        if self.rabbitmq_management_url is None:
            return None
        url = URL(self.rabbitmq_management_url.get_secret_value())
        if url.user is None:
            broker = self.url()
            url = url.with_user(broker.user).with_password(broker.password)
        return url

    def location(self) -> str:
        """Return the URL without its password."""
        return mask_url(self.rabbitmq_url.get_secret_value())


def _parsed(text: str, schemes: tuple[str, ...], example: str) -> URL:
    try:
        url = URL(text)
        valid = url.scheme in schemes and bool(url.host)
    except ValueError:
        valid = False
        url = URL()
    if not valid:
        raise ValueError(f"not a URL such as {example}")
    return url
