"""Workers whose clocks are an hour off: the broker's clock decides.

The embedded queue is not among them: there the machine's clock is the broker's.
"""

import os
import time

import pytest

from asynctasq.drivers import State
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Report
from integration.faults.tally import finish, runs

HOUR = 3600
LEASE = 1.0
DELAY = 1.5

#: Every program in a directory with this one on its path reads a clock that is off, from its
#: first line on.
SITE = """
import datetime, time

OFF = {off}
real, real_ns = time.time, time.time_ns
time.time = lambda: real() + OFF
time.time_ns = lambda: real_ns() + OFF * 10**9


class Skewed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)


datetime.datetime = Skewed
"""

pytestmark = pytest.mark.parametrize(
    "application", ["redis", "postgres", "mysql", "rabbitmq", "sqs"], indirect=True
)


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_the_clocks_of_workers_do_not_matter(
    application: Application, report: Report, monkeypatch: pytest.MonkeyPatch, off: int
) -> None:
    """A worker with a wrong clock fetches, holds, retries and fails; another has the right one."""
    application.dispatch(*_work())
    _skew(application, monkeypatch, off)
    application.start_worker("--lease", str(LEASE), "--concurrency", "10")
    until(lambda: len(runs(application, "start")) == 3, "the off worker has begun")
    monkeypatch.delenv("PYTHONPATH")
    application.start_worker("--lease", str(LEASE), "--concurrency", "10")
    until(lambda: application.is_up(1), "another worker stands by")
    until(lambda: application.stats().dead == 1, "what fails is dead")
    until(lambda: _times(application, "late") != [], "the delayed task ran")
    time.sleep(3 * LEASE)  # what runs is held for longer than its first lease
    (application.directory / "go").touch()
    until(lambda: len(runs(application, "end")) == 3, "what ran has ended")
    assert application.log()[f"off {off}"] == 1  # the fault has reached the worker
    assert DELAY <= _times(application, "late")[0] - _times(application, "asked")[0] < 60
    assert (application.log()["fail 1"], application.log()["fail 2"]) == (1, 1)
    if application.settings["driver"] != "rabbitmq":  # AMQP has no clock to ask: its worker's
        assert 0 <= application.browse(State.DEAD)[0].seconds < 120
    way = "ahead" if off > 0 else "behind"
    row = finish(application, f"a clock an hour {way}", 4, dead=1)
    report(row)
    assert (row.lost, row.twice) == (0, 0)


def _work() -> list[tuple[str, dict[str, object]]]:
    work: list[tuple[str, dict[str, object]]] = [("note_clock", {}), ("fail", {"word": "fail"})]
    work += [("note_later", {"word": "late", "seconds": DELAY})]
    return work + [("wait_for_file", {"number": number}) for number in range(3)]


def _skew(application: Application, monkeypatch: pytest.MonkeyPatch, off: int) -> None:
    """Let workers that are started now have a clock that is off."""
    place = application.directory / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(SITE.format(off=off))
    monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)


def _times(application: Application, word: str) -> list[float]:
    """When a word was written, by the clock that all processes share."""
    lines = application.log().elements()
    return [float(line.split()[1]) for line in lines if line.startswith(f"{word} ")]
