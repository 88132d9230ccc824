"""Batches that are larger than a statement: how they are cut, and what a failure in one tells."""

import asyncio

import pytest

from asynctasq.drivers import Message, State
from asynctasq.errors import BrokerRejected, BrokerUnavailable, EnqueueFailed
from asynctasq_postgres import enqueue
from asynctasq_postgres.enqueue import CHUNK_BYTES, CHUNK_ROWS, chunks

pytestmark = pytest.mark.anyio


def batch(queue: str, count: int) -> list[Message]:
    return [Message(f"{number:06}", queue, b"") for number in range(count)]


async def stored(driver, queue: str) -> list[str]:
    return [one.id for one in await driver.browse(queue, State.READY, limit=100_000)]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Messages that a statement takes at most, here."""
    monkeypatch.setattr(enqueue, "CHUNK_ROWS", 10)
    return 10


@pytest.fixture
def failing(driver, monkeypatch: pytest.MonkeyPatch):
    """A function that makes the nth statement of the driver's fail, before it is sent or after."""

    def fail(number: int, error: Exception, *, applied: bool) -> list[int]:
        fetch, sent = driver.session._fetch, []

        async def failing_fetch(statement, arguments):
            sent.append(len(arguments[0]))
            if len(sent) != number:
                return await fetch(statement, arguments)
            if applied:
                await fetch(statement, arguments)
            raise error

        monkeypatch.setattr(driver.session, "_fetch", failing_fetch)
        return sent

    return fail


@pytest.fixture
async def own(connect):
    """A caller's connection."""
    connection = await connect()
    yield connection
    connection.terminate()


def test_a_batch_is_cut_by_messages_and_by_bytes() -> None:
    many = batch("queue", 2 * CHUNK_ROWS + 1)
    assert [len(one) for one in chunks(many)] == [CHUNK_ROWS, CHUNK_ROWS, 1]
    large = [Message(str(number), "queue", bytes(CHUNK_BYTES // 2)) for number in range(5)]
    assert [len(one) for one in chunks(large)] == [2, 2, 1]
    assert [one.id for chunk in chunks(many) for one in chunk] == [one.id for one in many]
    assert list(chunks([])) == []


async def test_a_large_batch_takes_several_short_statements(driver, queue, monkeypatch) -> None:
    sent: list[int] = []
    fetch = driver.session._fetch

    async def counting(statement, arguments):
        sent.append(len(arguments[0]))
        return await fetch(statement, arguments)

    monkeypatch.setattr(driver.session, "_fetch", counting)
    count = 2 * CHUNK_ROWS + 7
    await driver.enqueue(batch(queue, count))
    assert sent == [CHUNK_ROWS, CHUNK_ROWS, 7]
    monkeypatch.undo()
    assert await stored(driver, queue) == [one.id for one in batch(queue, count)]
    assert await driver.purge(queue, State.READY) == count


@pytest.mark.parametrize("applied", [False, True])
async def test_a_later_part_that_fails_is_named_and_so_is_what_is_stored(
    driver, queue, small_chunks, failing, applied: bool
) -> None:
    sent = failing(3, TimeoutError(), applied=applied)
    ids = [one.id for one in batch(queue, 45)]
    with pytest.raises(EnqueueFailed, match="no answer in time") as caught:
        await driver.enqueue(batch(queue, 45))
    assert sent == [10, 10, 10]  # what comes after it is not tried
    assert list(caught.value.accepted) == ids[:20]
    assert list(caught.value.rejected) == ids[20:]
    assert isinstance(caught.value.__cause__, BrokerUnavailable)
    assert await stored(driver, queue) == ids[: 30 if applied else 20]
    await driver.enqueue(batch(queue, 45))  # the same ids again store nothing twice
    assert await stored(driver, queue) == ids
    await driver.purge(queue, State.READY)


async def test_a_first_part_that_fails_is_no_half_success(
    driver, queue, small_chunks, failing
) -> None:
    failing(1, TimeoutError(), applied=False)
    with pytest.raises(BrokerUnavailable):
        await driver.enqueue(batch(queue, 45))
    assert await stored(driver, queue) == []


async def test_a_statement_that_takes_too_long_loses_its_part_alone(
    driver_with, own, queue, small_chunks, monkeypatch
) -> None:
    """A lock on the id of a message of the second part stands for a slow server."""
    monkeypatch.setattr("asynctasq_postgres.pool.STATEMENT_LIMIT", 0.5)
    driver = driver_with()
    await driver.connect()
    transaction = own.transaction()
    await transaction.start()
    blocking = driver.settings.names().fill(
        "INSERT INTO {table} (queue, id, visible_at, body) VALUES ($1, '000015', now(), '')"
    )
    await own.execute(blocking, queue)
    with pytest.raises(EnqueueFailed) as caught:
        async with asyncio.timeout(10):
            await driver.enqueue(batch(queue, 30))
    await transaction.rollback()
    assert list(caught.value.accepted) == [one.id for one in batch(queue, 10)]
    assert (await stored(driver, queue))[:10] == list(caught.value.accepted)
    await driver.disconnect()


@pytest.mark.parametrize(("end", "there"), [("rollback", 0), ("commit", 45)])
async def test_a_batch_in_a_callers_transaction_is_cut_and_stored_as_a_whole(
    driver, own, queue, small_chunks, end: str, there: int
) -> None:
    statements: list[str] = []
    transaction = own.transaction()
    await transaction.start()
    own.add_query_logger(lambda record: statements.append(record.query))
    await driver.enqueue_on(own, batch(queue, 45))
    assert await stored(driver, queue) == []
    assert sum("_enqueue" in one for one in statements) == 5
    await getattr(transaction, end)()
    assert len(await stored(driver, queue)) == there
    await driver.purge(queue, State.READY)


async def test_what_is_refused_is_refused_before_a_part_is_stored(
    driver, queue, small_chunks
) -> None:
    with pytest.raises(BrokerRejected):
        await driver.enqueue([*batch(queue, 30), Message("", queue, b"")])
    assert await stored(driver, queue) == []
