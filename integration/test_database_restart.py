"""Databases and workers that are killed, again and again, under load."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asynctasq.testing.brokers import find_program
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.database_servers import MariaDBServer, PostgresServer, postgres_program

TASKS = 10_000
CONCURRENCY = 50
KILLS = 8
#: Before which of them the server dies, too.
RESTARTS = (2, 5)

pytestmark = pytest.mark.slow


@pytest.fixture(params=["postgres", "mysql"])
def server(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[PostgresServer | MariaDBServer]:
    """A server of the test's own, which is up."""
    kind, program = {
        "postgres": (PostgresServer, postgres_program("initdb")),
        "mysql": (MariaDBServer, "mariadb-install-db"),
    }[request.param]
    find_program(request, program)
    made = kind(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def application(server: PostgresServer | MariaDBServer, tmp_path: Path) -> Iterator[Application]:
    """On that server, with its tables."""
    driver = "postgres" if isinstance(server, PostgresServer) else "mysql"
    made = Application(tmp_path, {"driver": driver, f"{driver}_dsn": server.url})
    assert made.start("-m", "asynctasq", "migrate").wait(30) == 0, made.output()
    yield made
    made.close()


def test_none_of_10000_is_lost_when_workers_and_the_server_are_killed(
    application: Application, server: PostgresServer | MariaDBServer
) -> None:
    options = ("--concurrency", str(CONCURRENCY), "--lease", "3")
    for start in range(0, TASKS, 1000):
        numbers = range(start, start + 1000)
        application.dispatch(*(("sleep", {"number": n, "seconds": 0.25}) for n in numbers))
    workers = [application.start_worker(*options) for _ in range(3)]
    until(lambda: len(ended(application)) > 0, "the first have run")
    for number in range(KILLS):
        time.sleep(2)  # between two kills: the test is about this
        if number in RESTARTS:
            server.kill()
            server.start()
        workers.pop(0).kill()
        workers.append(application.start_worker(*options))
    until(lambda: len(ended(application)) == TASKS, "all have run", patience=180)
    # 1: of a worker that was starting while the server was away
    application.end(exits=(0, 1, -signal.SIGKILL))
    starts = [word for word in application.log().elements() if word.startswith("start")]
    twice = len(starts) - TASKS
    # what ran when its worker died, and what had ended and was not stored yet
    assert twice <= (CONCURRENCY + 2 * CONCURRENCY) * KILLS


def ended(application: Application) -> set[str]:
    """The tasks that have run to their end."""
    return {word for word in application.log() if word.startswith("end")}
