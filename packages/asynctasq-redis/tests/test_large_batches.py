"""A batch larger than one exchange: cut by rows and bytes, and told apart when a part fails."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from asynctasq.drivers import Message
from asynctasq.errors import BrokerUnavailable, EnqueueFailed
from asynctasq_redis import RedisDriver
from asynctasq_redis import enqueue as storing
from asynctasq_redis.scripts import Command

NO_DISK = ("--save", "", "--appendonly", "no")
Run = Callable[..., Awaitable[list[object]]]

pytestmark = pytest.mark.anyio


def exchanges(driver: RedisDriver, *, fail_at: int | None = None, applied: bool = False):
    """The rows of each exchange from now on; one of them is left without an answer."""
    rows: list[int] = []
    run: Run = driver.session.connections.run

    async def spy(commands: Sequence[Command]) -> list[object]:
        if not stores(commands[0]):
            return await run(commands)
        rows.append(sum(int(command[3 + int(command[2]) + 1]) for command in commands))
        if len(rows) - 1 != fail_at:
            return await run(commands)
        if applied:
            await run(commands)
        raise TimeoutError

    driver.session.connections.run = spy  # pyright: ignore[reportAttributeAccessIssue]
    return rows


def stores(command: Command) -> bool:
    """Whether it is a call of ``enqueue``: it has five keys, the queue's name and a number."""
    return command[2] == 5 and len(command) > 8 and isinstance(command[9], int)


def batch(count: int, size: int = 1) -> list[Message]:
    return [Message(f"{number:05}", "queue", b"x" * size) for number in range(count)]


@pytest.fixture
async def driver(server, driver_on):
    one = driver_on(server(*NO_DISK).url)
    await one.connect()
    await one.enqueue([Message("first", "other", b"")])  # the script is known from now on
    yield one
    await one.disconnect()


async def stored(driver: RedisDriver) -> int:
    return (await driver.counts(["queue"]))[0].ready


async def test_a_batch_is_cut_by_rows(driver: RedisDriver) -> None:
    rows = exchanges(driver)
    await driver.enqueue(batch(12_000))
    assert rows == [5000, 5000, 2000]
    assert await stored(driver) == 12_000


async def test_a_batch_is_cut_by_bytes(
    driver: RedisDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "BYTES", 1_000_000)
    rows = exchanges(driver)
    await driver.enqueue(batch(1200, 1500))
    assert rows == [1000, 200]


async def test_what_fits_takes_one_exchange(driver: RedisDriver) -> None:
    rows = exchanges(driver)
    await driver.enqueue([*batch(2000), *(Message(str(n), f"q{n}", b"") for n in range(500))])
    assert rows == [2500]


@pytest.mark.parametrize("applied", [False, True])
async def test_an_exchange_without_an_answer_is_rejected_with_all_that_follow(
    driver: RedisDriver, applied: bool
) -> None:
    messages = batch(12_000)
    rows = exchanges(driver, fail_at=1, applied=applied)
    with pytest.raises(EnqueueFailed, match="no answer in time") as caught:
        await driver.enqueue(messages)
    ids = [one.id for one in messages]
    assert list(caught.value.accepted) == ids[:5000]
    assert list(caught.value.rejected) == ids[5000:]
    assert rows == [5000, 5000]
    assert await stored(driver) == (10_000 if applied else 5000)


async def test_nothing_accepted_is_no_part(driver: RedisDriver) -> None:
    rows = exchanges(driver, fail_at=0)
    with pytest.raises(BrokerUnavailable):
        await driver.enqueue(batch(12_000))
    assert rows == [5000]
    assert await stored(driver) == 0


async def test_a_server_that_is_full_in_the_middle_names_both_parts(server, driver_on) -> None:
    full = server(*NO_DISK, "--maxmemory", "24mb")
    driver = driver_on(full.url)
    await driver.connect()
    with pytest.raises(EnqueueFailed, match="maxmemory") as caught:
        await driver.enqueue(batch(12_000, 4000))
    assert len(caught.value.accepted) == await stored(driver) > 0
    assert len(caught.value.accepted) + len(caught.value.rejected) == 12_000
    await driver.disconnect()
