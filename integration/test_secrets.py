"""Passwords reach the broker, and nothing that people read."""

import asyncio
import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from asynctasq import BrokerError, Config, ConfigError, DriverFactory
from asynctasq.drivers import BaseDriver
from integration.application import Application
from integration.redis_server import MakeRedis, RedisServer

SECRET = "canary-4a7be1"

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(make_redis: MakeRedis) -> RedisServer:
    one = make_redis("--requirepass", SECRET)
    one.start()
    return one


@pytest.fixture
def secretive(server: RedisServer, tmp_path: Path) -> Iterator[Application]:
    """An application on a broker with a password."""
    url = f"redis://:{SECRET}@127.0.0.1:{server.port}/0"
    made = Application(tmp_path, {"driver": "redis", "redis_url": url})
    yield made
    made.close()


def test_a_worker_that_logs_everything_shows_no_password(secretive: Application) -> None:
    secretive.dispatch(("note", {"word": "ran"}), ("fail", {"word": "failed"}))
    secretive.enqueue(b"\xc1garbage")
    worker = secretive.start_worker("--burst", "--log-level", "debug")
    assert worker.wait(60) == 0, secretive.output()
    secretive.dispatch(("fail", {"word": "failed"}))
    worker = secretive.start_worker("--burst", "--log-level", "debug", "--log-format", "json")
    assert worker.wait(60) == 0, secretive.output()
    assert secretive.log()["ran"] == 1
    assert "ValueError: failed" in secretive.output()
    assert SECRET not in secretive.output()


@pytest.mark.parametrize(
    "words",
    [["doctor"], ["queues", "--json"], ["dead", "list", "--json"]],
    ids=" ".join,
)
def test_a_command_shows_no_password(secretive: Application, words: list[str]) -> None:
    secretive.dispatch(("note", {"word": "waiting"}))
    command = secretive.start("-m", "asynctasq", *words)
    assert command.wait(30) == 0, secretive.output()
    if "--json" in words:
        json.loads(secretive.output())
    assert SECRET not in secretive.output()


@pytest.mark.parametrize("option", ["--redis-url", "--redis-password"])
def test_a_wrong_password_is_not_repeated(secretive: Application, option: str) -> None:
    wrong = "canary-wrong"
    value = secretive.settings["redis_url"].replace(SECRET, wrong)
    if option == "--redis-password":
        value = wrong
    worker = secretive.start_worker(option, value, "--log-level", "debug")
    assert worker.wait(30) == 1, secretive.output()
    output = secretive.output()
    assert "Traceback" not in output
    assert wrong not in output
    assert SECRET not in output


def test_a_traceback_shows_no_password(secretive: Application, server: RedisServer) -> None:
    server.kill()
    command = secretive.start("-m", "asynctasq", "queues", "--debug")
    assert command.wait(30) == 1
    assert "Traceback" in secretive.output()
    assert SECRET not in secretive.output()


def with_password(url: str, canary: str) -> str:
    """The URL of a broker with another password, which the broker may accept or refuse."""
    parts = urlsplit(url)
    user = parts.username or "guest"
    place = f"{user}:{canary}@{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    return parts._replace(netloc=place).geturl()


@pytest.fixture(params=["redis", "postgres", "mysql", "rabbitmq", "sqs"])
def canaries(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of each driver, with secrets that are unlike any other text."""
    settings: dict[str, str] = dict(request.getfixturevalue(f"{request.param}_settings"))
    for name in ("redis_url", "postgres_dsn", "mysql_dsn", "rabbitmq_url"):
        if name in settings:
            settings[name] = with_password(settings[name], SECRET)
    if request.param == "sqs":
        settings |= {"aws_secret_access_key": SECRET, "aws_session_token": f"{SECRET}-token"}
    return settings | {"signing_keys": f"{SECRET}-key"}


def test_no_driver_logs_a_password(canaries: dict[str, str], tmp_path: Path) -> None:
    """With an accepted or a refused password, at the most verbose level."""
    application = Application(tmp_path, canaries)
    try:
        said_most = ("worker", "--burst", "--log-level", "debug")
        commands = [said_most, (*said_most, "--log-format", "json"), ("doctor",)]
        started = [
            application.start("-m", "asynctasq", *words)
            for words in (*commands, ("queues", "--debug"))
        ]
        assert {one.wait(90) for one in started} <= {0, 1}, application.output()
        assert len(application.output()) > 100, "it said something"
        assert SECRET not in application.output()
    finally:
        application.close()


async def test_no_object_shows_a_password(
    canaries: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a setting, nor the driver, nor an error with all that it comes from."""
    # botocore's own log has the session token, if a program turns that on
    for name in ("asynctasq", "asyncio", "asyncpg", "aiormq", "aio_pika", "redis"):
        caplog.set_level(logging.DEBUG, logger=name)
    config = Config(**canaries)
    driver = DriverFactory.create_from_config(config)
    shown = [config, config.driver_settings, config.masked(), driver, driver.settings]
    shown += [await errors_of(driver), vars(driver)]
    text = "".join(f"{one!r} {one!s}" for one in shown) + caplog.text
    assert SECRET not in text


async def errors_of(driver: BaseDriver) -> str:
    """The traceback of a refused connection, with its causes and contexts, if it was refused."""
    try:
        async with asyncio.timeout(30):
            await driver.connect()
            await driver.dequeue(["default"], limit=1, lease=30, wait=0)
    except BrokerError as error:
        trace = traceback.TracebackException.from_exception(error, capture_locals=False)
        return "".join(trace.format()) + repr(error)
    finally:
        await driver.disconnect()
    return ""


@pytest.mark.parametrize("broker", ["redis", "postgres", "mysql", "rabbitmq", "sqs"])
async def test_an_unreachable_host_shows_no_password(broker: str) -> None:
    """Needs no broker: nothing listens there."""
    name, url = {
        "redis": ("redis_url", f"redis://user:{SECRET}@127.0.0.1:1/0"),
        "postgres": ("postgres_dsn", f"postgresql://user:{SECRET}@127.0.0.1:1/test"),
        "mysql": ("mysql_dsn", f"mysql://user:{SECRET}@127.0.0.1:1/test"),
        "rabbitmq": ("rabbitmq_url", f"amqp://user:{SECRET}@127.0.0.1:1/"),
        "sqs": ("sqs_endpoint_url", "http://127.0.0.1:1"),
    }[broker]
    secrets = {"aws_access_key_id": "id", "aws_secret_access_key": SECRET, "sqs_region": "eu"}
    more = secrets if broker == "sqs" else {}
    driver = DriverFactory.create_from_config(Config(driver=broker, **{name: url}, **more))
    shown = await errors_of(driver)
    assert "BrokerUnavailable" in shown
    assert SECRET not in shown


@pytest.mark.parametrize(
    "setting",
    [
        {"driver": "redis", "redis_url": f"nonsense://:{SECRET}@host"},
        {"driver": "postgres", "postgres_dsn": f"nonsense://user:{SECRET}@host"},
        {"driver": "mysql", "mysql_dsn": f"mysql://user:{SECRET}@host:notaport/x"},
        {"driver": "rabbitmq", "rabbitmq_url": f"amqp://user:{SECRET}@host:notaport/"},
        {"driver": "sqs", "aws_secret_access_key": SECRET, "sqs_region": ""},
        {"driver": "redis", "redis_url": "redis://h", "redis_passwort": SECRET},
    ],
    ids=lambda setting: f"{setting['driver']}-{list(setting)[1]}",
)
def test_a_bad_setting_is_refused_without_its_secret(setting: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**setting)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
