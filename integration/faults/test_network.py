"""Networks between workers and their broker that cut, delay, refuse and swallow."""

import time

import pytest

from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.conftest import MakeLoad
from integration.faults.load import Report
from integration.faults.proxy import Proxy
from integration.faults.tally import limits

pytestmark = pytest.mark.parametrize(
    "application", ["redis", "postgres", "mysql", "rabbitmq", "sqs"], indirect=True
)

CONCURRENCY = 10
#: Outcomes that may wait to be stored when a lease ends, as documented.
UNSTORED = 50
#: Seconds within which a driver gives up a connection on which nothing comes any more, and those
#: of an idle wait before; for heartbeats of two seconds, on RabbitMQ.
NOTICES = {"redis": 36.0, "postgres": 21.0, "mysql": 16.0, "rabbitmq": 8.0, "sqs": 36.0}
#: Seconds that this machine may take for everything else.
SLOW = 20.0


@pytest.mark.flakiest("rabbitmq")
def test_connections_are_reset_again_and_again(
    application: Application, proxy: Proxy, load: MakeLoad, report: Report, scale: int
) -> None:
    work = load(400, seconds=0.05)
    # a lease that a slow emulator does not let run out
    work.start_worker("--concurrency", str(CONCURRENCY), "--lease", "15")
    cuts = 8 * scale
    work.await_ended(0.1)
    for number in range(cuts):
        until(lambda: proxy.cut() > 0, "there was a connection to cut")
        until(lambda n=number: work.ended >= work.tasks * (0.1 + 0.8 * n / cuts), "more has run")
    work.recovers()
    row = work.finish("connections are reset, again and again")
    report(row)
    assert row.twice == 0  # the one worker there is lives, and keeps what it has


def test_everything_is_late(
    application: Application, proxy: Proxy, load: MakeLoad, report: Report
) -> None:
    proxy.delay = 0.2
    work = load(100, seconds=0.1)
    work.start_worker("--concurrency", str(CONCURRENCY), "--lease", "10")
    work.await_ended(0.5)
    row = work.finish("each piece is 200 ms late")
    report(row)
    assert row.twice == 0


def test_the_server_refuses_connections_for_a_while(
    application: Application, proxy: Proxy, load: MakeLoad, report: Report
) -> None:
    work = load(200, seconds=0.05)
    work.start_worker("--concurrency", str(CONCURRENCY), "--lease", "2")
    work.await_ended(0.3)
    proxy.refuse = True
    proxy.cut()
    until(lambda: "the broker is unavailable" in application.output(), "the worker noticed")
    time.sleep(3)  # longer than the lease
    proxy.refuse = False
    work.recovers()
    row = work.finish("connections are refused for longer than a lease")
    report(row)
    assert row.twice <= CONCURRENCY + UNSTORED  # whoever is cut off for longer has lost its leases


def test_packets_vanish_for_a_while(
    application: Application, proxy: Proxy, load: MakeLoad, report: Report
) -> None:
    work = load(200, seconds=0.05)
    work.start_worker("--concurrency", str(CONCURRENCY), "--lease", "2")
    work.await_ended(0.3)
    proxy.vanish = True
    time.sleep(3)  # longer than the lease
    proxy.vanish = False
    work.recovers()
    row = work.finish("packets vanish for longer than a lease")
    report(row)
    assert row.twice <= CONCURRENCY + UNSTORED  # whoever is cut off for longer has lost its leases


def test_connections_are_half_open(
    application: Application, proxy: Proxy, load: MakeLoad, report: Report
) -> None:
    """Connections vanish permanently and without notice; only new ones work."""
    work = load(200, seconds=0.05)
    work.start_worker("--concurrency", str(CONCURRENCY), "--lease", "2")
    work.await_ended(0.3)
    until(lambda: proxy.lose() > 0, "there was a connection to lose")
    until(lambda: _is_quiet(application), "what ran has ended")
    work.recovers(NOTICES[application.settings["driver"]] + SLOW)
    row = work.finish("connections are half-open")
    report(row)
    assert row.twice <= CONCURRENCY + UNSTORED  # whoever is cut off for longer has lost its leases


def test_an_idle_worker_s_connections_are_half_open(
    application: Application, proxy: Proxy, load: MakeLoad, report: Report
) -> None:
    work = load(1)
    work.start_worker("--lease", "2")
    work.await_ended(1)
    until(lambda: application.stats().unfinished == 0, "the worker is idle")
    time.sleep(1)  # RabbitMQ counts nothing that is held, and tells nobody that an outcome arrived
    until(lambda: proxy.lose() > 0, "there was a connection to lose")
    work.add(1)
    work.recovers(NOTICES[application.settings["driver"]] + SLOW)
    row = work.finish("connections of an idle worker are half-open")
    report(row)
    # a message that a dead connection still held comes back when the broker notices
    assert row.twice <= (0 if limits(application).leases_outlive_connections else 1)


def _is_quiet(application: Application) -> bool:
    log = application.log()
    runs = [sum(n for line, n in log.items() if line.startswith(w)) for w in ("start", "end")]
    return runs[0] == runs[1]
