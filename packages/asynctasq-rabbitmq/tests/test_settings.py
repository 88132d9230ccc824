"""Settings: invalid values are refused, and secrets never shown."""

import pytest
from pydantic import SecretStr

from asynctasq.errors import ConfigError
from asynctasq_rabbitmq import RabbitMQSettings


def settings(url: str, **more: object) -> RabbitMQSettings:
    return RabbitMQSettings(rabbitmq_url=SecretStr(url), **more)


def test_the_defaults_are_the_brokers() -> None:
    one = RabbitMQSettings()
    assert str(one.url()) == "amqp://guest:guest@localhost:5672/?heartbeat=10"
    assert one.vhost() == "/"
    assert one.management_url() is None


@pytest.mark.parametrize(
    ("path", "vhost"), [("", "/"), ("/", "/"), ("/%2F", "/"), ("/app", "app"), ("/a%2Fb", "a/b")]
)
def test_the_path_is_the_virtual_host(path: str, vhost: str) -> None:
    assert settings(f"amqp://localhost{path}").vhost() == vhost


def test_a_heartbeat_in_the_url_wins() -> None:
    assert settings("amqp://localhost/?heartbeat=60").url().query["heartbeat"] == "60"


@pytest.mark.parametrize("url", ["http://localhost", "localhost", "amqp://", "amqp://host:port/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="rabbitmq_url: not a URL such as amqp://"):
        settings(url)


def test_a_management_url_is_one_of_http() -> None:
    with pytest.raises(ConfigError, match="rabbitmq_management_url: not a URL such as http://"):
        settings("amqp://localhost", rabbitmq_management_url=SecretStr("amqp://localhost"))


@pytest.mark.parametrize("name", ["amq.mine", "a/b", "", "x" * 61])
def test_a_name_that_cannot_start_others_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="rabbitmq_exchange_name"):
        settings("amqp://localhost", rabbitmq_exchange_name=name)


def test_the_management_api_has_the_brokers_credentials_unless_it_has_its_own() -> None:
    def url(management: str) -> str:
        one = settings("amqp://me:pw@host/", rabbitmq_management_url=SecretStr(management))
        return str(one.management_url())

    assert url("http://host:15672") == "http://me:pw@host:15672"
    assert url("http://you:own@host:15672") == "http://you:own@host:15672"


def test_passwords_are_never_shown() -> None:
    one = settings(
        "amqp://user:s3cret@host/?cafile=s3cret",
        rabbitmq_management_url=SecretStr("http://user:s3cret@host:15672"),
    )
    for text in (repr(one), str(one), one.location(), str(one.masked())):
        assert "s3cret" not in text
