"""The settings of the RabbitMQ driver."""

from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from yarl import URL

from asynctasq.drivers import DriverSettings
from asynctasq.settings import mask_url

#: Seconds without a sign of life after which a broker, or a worker, counts as gone.
HEARTBEAT = 10


class RabbitMQSettings(DriverSettings):
    """Where RabbitMQ is, and under which names messages are kept there.

    Attributes:
        rabbitmq_url: ``amqp://user:password@host:5672/vhost``, or ``amqps://`` with TLS; the
            virtual host ``/`` is written as no path, or as ``%2F``.
        rabbitmq_exchange_name: the start of the name of every queue and exchange; keeps
            applications in one virtual host apart.
        rabbitmq_prefetch_count: most messages of a queue that are held unasked; None matches
            it to what is asked for.
        rabbitmq_management_url: the management API, ``http://user:password@host:15672``;
            credentials are those of `rabbitmq_url` when it has none.
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
        """The broker's URL, with a heartbeat and credentials in it."""
        url = URL(self.rabbitmq_url.get_secret_value())
        if url.user is None:
            url = url.with_user("guest").with_password("guest")
        if "heartbeat" not in url.query:
            url = url.update_query(heartbeat=str(HEARTBEAT))
        return url

    def vhost(self) -> str:
        """The virtual host."""
        return self.url().path.removeprefix("/").replace("%2F", "/") or "/"

    def management_url(self) -> URL | None:
        """The management API's URL with credentials, if there is one."""
        if self.rabbitmq_management_url is None:
            return None
        url = URL(self.rabbitmq_management_url.get_secret_value())
        if url.user is None:
            broker = self.url()
            url = url.with_user(broker.user).with_password(broker.password)
        return url

    def location(self) -> str:
        """The URL without its password."""
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
