"""Signed messages from a producer to a worker, while keys change."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest

from asynctasq import Config, Worker, task
from asynctasq.core.execution.retry import NOT_KNOWN_YET
from asynctasq.drivers import (
    Message,
    Outcome,
    QueueStats,
    Settlement,
    State,
    StoredMessage,
)
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.serialization import Envelope, EnvelopeCodec, MsgpackSerializer, Signer

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("longest_delays")]

ran: list[str] = []


@task(name="signing_for_tests:note")
async def note(word: str) -> None:
    ran.append(word)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def url() -> str:
    ran.clear()
    return f"memory://{uuid4().hex}"


def body(word: str, *keys: str) -> bytes:
    envelope = Envelope("signing_for_tests:note", (word,))
    return EnvelopeCodec(MsgpackSerializer(), Signer(keys)).encode(envelope)


def tampered(one: bytes) -> bytes:
    return one.replace(b"harmless", b"harmful!")


async def enqueue(url: str, *bodies: bytes) -> None:
    messages = [Message(uuid4().hex, "default", one) for one in bodies]
    await MemoryDriver(MemorySettings(memory_url=url)).enqueue(messages)


async def stored(url: str, state: State) -> list[StoredMessage]:
    driver = MemoryDriver(MemorySettings(memory_url=url))
    return list(await driver.browse("default", state, limit=100))


async def work(url: str, keys: str, done: Callable[[QueueStats], bool]) -> None:
    """Run a worker with these keys until the messages are so."""
    config = Config(driver="memory", memory_url=url, signing_keys=keys)
    driver = MemoryDriver(MemorySettings(memory_url=url))
    worker = Worker(driver, config=config, handle_signals=False)
    running = asyncio.ensure_future(worker.start())
    try:
        async with asyncio.timeout(20):
            while not done((await driver.counts(["default"]))[0]):
                await asyncio.sleep(0.005)
    finally:
        await worker.stop()
        await running


def nothing_left(stats: QueueStats) -> bool:
    return stats.unfinished == 0 == stats.dead


def one_waits(stats: QueueStats) -> bool:
    return stats.delayed == 1


async def test_an_old_key_is_good_as_long_as_it_is_listed(url: str) -> None:
    await enqueue(url, body("old", "old"), body("new", "new", "old"))
    await work(url, "new,old", nothing_left)
    assert sorted(ran) == ["new", "old"]


@pytest.mark.parametrize(
    "refused",
    [
        body("unsigned"),
        body("dropped", "old"),
        body("foreign", "attackers"),
        tampered(body("harmless", "new")),
        body("cut", "new")[:-1],
        body("spliced", "new")[:39] + body("other", "old")[39:],
    ],
    ids=["unsigned", "key dropped", "foreign key", "tampered", "cut off", "spliced"],
)
async def test_what_is_not_signed_by_a_listed_key_never_runs(url: str, refused: bytes) -> None:
    """It is tried again, as in the middle of a rotation, and dead in the end, byte for byte."""
    await enqueue(url, refused)
    await work(url, "new", one_waits)
    driver = MemoryDriver(MemorySettings(memory_url=url))
    (waiting,) = await stored(url, State.DELAYED)
    assert (waiting.body, waiting.attempt) == (refused, 1)
    await driver.delete("default", [waiting.id])
    await enqueue(url, refused)
    for _ in range(NOT_KNOWN_YET.max_attempts - 1):
        (delivery,) = await driver.dequeue(["default"], limit=1, lease=30, wait=5)
        await driver.settle([Settlement(delivery, Outcome.RETRY)])
    await work(url, "new", lambda stats: stats.dead == 1)
    (dead,) = await stored(url, State.DEAD)
    assert dead.body == refused
    assert dead.note.startswith("SignatureError")
    assert ran == []


@pytest.mark.flakiest
async def test_a_rotation_loses_nothing(url: str) -> None:
    """Workers that know the old key alone let wait what the new one signed."""
    await enqueue(url, body("early", "new", "old"))
    await work(url, "old", one_waits)
    (waiting,) = await stored(url, State.DELAYED)
    assert waiting.attempt == 1
    assert ran == []
    await enqueue(url, body("late", "old"))
    await work(url, "new,old", nothing_left)
    assert sorted(ran) == ["early", "late"]


async def test_a_signature_does_not_stop_a_replay(url: str) -> None:
    """As SECURITY.md says: a recorded message is good as often as it is sent."""
    recorded = body("again", "key")
    await enqueue(url, recorded, recorded)
    await work(url, "key", nothing_left)
    assert ran == ["again", "again"]
