"""Fixtures of the faults: servers to kill, proxies to cut, and rows for the table."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from asynctasq.testing.brokers import find_program
from integration.application import Application
from integration.faults.load import Load, Report
from integration.faults.proxy import Proxy
from integration.faults.report import attach, markdown, rows
from integration.faults.servers import KINDS, Server, Servers
from integration.redis_server import listens

MakeLoad = Callable[..., Load]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the table."""
    found = rows(itertools.chain.from_iterable(terminalreporter.stats.values()))
    if not found:
        return
    terminalreporter.section("what the faults cost")
    terminalreporter.write_line(markdown(found))
    if path := terminalreporter.config.getoption("--faults-table"):
        Path(path).write_text(markdown(found) + "\n")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The tests' own, not those of the machine."""
    made = Servers(tmp_path_factory.mktemp("servers"))
    yield made
    made.close()


def _url(driver: str) -> Callable[..., str]:
    @pytest.fixture(scope="session", name=f"{driver}_url")
    def url(request: pytest.FixtureRequest, servers: Servers) -> str:
        return _server(request, servers, driver).url

    return url


redis_url, postgres_url, mysql_url = _url("redis"), _url("postgres"), _url("mysql")
rabbitmq_url, sqs_url = _url("rabbitmq"), _url("sqs")


@pytest.fixture
def server(
    request: pytest.FixtureRequest, servers: Servers, application: Application
) -> Iterator[Server]:
    """The running server of the application's driver, which a test may kill.

    It is up again afterwards, too: its tests share it.
    """
    made = _server(request, servers, application.settings["driver"])
    yield made
    if not listens(made.port):
        made.start()


@pytest.fixture
def proxy(server: Server, application: Application) -> Iterator[Proxy]:
    """A way to the server that can be cut; workers that are started go through it."""
    made = Proxy(server.port)
    for name, value in application.settings.items():
        if server.url.split("@")[-1].rstrip("/") in value or f":{server.port}" in value:
            application.worker_settings[name] = value.replace(f":{server.port}", f":{made.port}")
    assert application.worker_settings != application.settings
    yield made
    made.close()


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> int:
    """How many times the quick form a test is to do."""
    times: int = request.config.getoption("--faults-scale")
    return times


@pytest.fixture
def load(application: Application, scale: int) -> MakeLoad:
    """A function that dispatches tasks of the application, more of them in the long form.

    They are fewer on the emulator of SQS, which does some ten a second on a busy machine.
    """
    slow = 4 if application.settings["driver"] == "sqs" else 1
    return lambda tasks, **more: Load(application, -(-tasks * scale // slow), **more)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """A function that adds a row to the table of the run."""
    return partial(attach, request.node)


def _server(request: pytest.FixtureRequest, servers: Servers, driver: str) -> Server:
    find_program(request, KINDS[driver][1])
    return servers.get(driver)
