"""Messages that a worker cannot read: now, or ever."""

import signal
from collections.abc import Sequence

import pytest

from asynctasq.drivers import BaseDriver, Delivery, Outcome, Settlement, State
from asynctasq.serialization import Envelope, EnvelopeCodec, MsgpackSerializer
from asynctasq.serialization.signing import Signer
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import Report, body
from integration.faults.report import Row

GARBAGE = (
    b"\xc1\x00garbage\xff",
    b"\x00",
    body("note", word="cut off")[:-3],
    MsgpackSerializer().dumps({"no": "envelope"}),
    MsgpackSerializer().dumps({"v": 1, "t": 5}),
)
FUTURE = MsgpackSerializer().dumps({"v": 2, "t": "tasks:note", "k": {"word": "future"}})
SECRET = "a key that the second worker has"
LATER = """

@task
async def deployed_later():
    log("later")
"""


def test_garbage_is_kept_byte_for_byte(application: Application, report: Report) -> None:
    application.enqueue(*GARBAGE)
    words = [str(number) for number in range(10)]
    application.dispatch(*(("note", {"word": word}) for word in words))
    application.start_worker("--lease", "2")
    until(lambda: len(application.log()) == len(words), "the neighbours ran")
    until(lambda: application.stats().dead == len(GARBAGE), "the garbage is dead")
    assert sorted(one.body for one in application.browse(State.DEAD)) == sorted(GARBAGE)
    application.end(dead=len(GARBAGE))
    assert application.log() == dict.fromkeys(words, 1)
    driver, tasks, dead = application.settings["driver"], len(words), len(GARBAGE)
    report(Row("garbage", driver, tasks + dead, lost=0, twice=0, dead=dead, recovery=None))


@pytest.mark.any_driver
def test_what_a_newer_worker_can_read_waits_for_it(
    application: Application, report: Report
) -> None:
    """In the middle of a deployment: no message is dead, and newer ones run after the update."""
    codec = EnvelopeCodec(MsgpackSerializer(), Signer([SECRET]))
    signed = codec.encode(Envelope("tasks:note", (), {"word": "signed"}))
    evil = ("os:system", "tasks:unregistered", "tasks:log")
    refused = [EnvelopeCodec(MsgpackSerializer()).encode(Envelope(n, ("x",))) for n in evil]
    application.enqueue(FUTURE, signed, body("deployed_later"), *refused)
    application.dispatch(("note", {"word": "neighbour"}))
    old = application.start_worker("--lease", "2")
    reasons = ("has version 2", "is signed", *(f"no task is called '{name}'" for name in evil))
    until(lambda: all(reason in application.output() for reason in reasons), "all are refused")
    until(lambda: application.log()["neighbour"] == 1, "the neighbour ran")
    old.send_signal(signal.SIGTERM)
    assert old.wait(30) == 0
    _deploy(application)
    new = application.start_worker("--lease", "2")
    until(lambda: application.log()["later"] == 1, "the new task ran")
    new.send_signal(signal.SIGTERM)
    assert new.wait(30) == 0
    kept = application.ask(lambda driver: _take_away(driver, 5))
    assert sorted(one.body for one in kept) == sorted([FUTURE, signed, *refused])
    assert application.stats().dead == 0
    assert application.log() == {"neighbour": 1, "later": 1}
    driver = application.settings["driver"]
    report(Row("messages of the future", driver, 7, lost=0, twice=0, dead=0, recovery=None))


@pytest.mark.any_driver
def test_a_signature_that_does_not_fit_yet_waits_for_its_key(
    application: Application, report: Report
) -> None:
    codec = EnvelopeCodec(MsgpackSerializer(), Signer([SECRET]))
    application.enqueue(codec.encode(Envelope("tasks:note", (), {"word": "signed"})))
    application.worker_settings["signing_keys"] = "another"
    old = application.start_worker("--lease", "2")
    until(lambda: "matches none of signing_keys" in application.output(), "it is refused")
    old.send_signal(signal.SIGTERM)
    assert old.wait(30) == 0
    application.worker_settings["signing_keys"] = f"another,{SECRET}"
    application.start_worker("--lease", "2")
    until(lambda: application.log()["signed"] == 1, "it ran")
    application.end()
    assert application.log() == {"signed": 1}
    driver = application.settings["driver"]
    report(Row("a wrong signature", driver, 1, lost=0, twice=0, dead=0, recovery=None))


def _deploy(application: Application) -> None:
    """A newer release of the application, with one more task."""
    with (application.directory / "tasks.py").open("a") as file:
        file.write(LATER)


async def _take_away(driver: BaseDriver, count: int) -> Sequence[Delivery]:
    """Take this many messages out of the queue, including those not due yet."""
    taken: list[Delivery] = []
    while len(taken) < count:
        more = await driver.dequeue(["default"], limit=count, lease=60, wait=30)
        assert more, f"{count - len(taken)} are missing"
        taken += more
    await driver.settle([Settlement(one, Outcome.DONE) for one in taken])
    return taken
