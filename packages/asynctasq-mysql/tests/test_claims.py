"""Messages leased before an error in the same dequeue are not lost."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pymysql
import pytest

from asynctasq.drivers import Message, Outcome, Settlement, State
from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable
from asynctasq_mysql import MySQLDriver, inspector
from asynctasq_mysql import claim as claims
from asynctasq_mysql import session as session_module
from asynctasq_mysql.session import CONFLICT_TRIES

pytestmark = pytest.mark.anyio

#: A deadlock, a lock wait timeout, and a permanent refusal.
ERRORS = [(1213, "40001"), (1205, "HY000"), (1644, "45000")]


@pytest.fixture
def queues() -> list[str]:
    """The names of three unused queues."""
    return [f"queue-{number}-{uuid4().hex}" for number in range(3)]


async def fill(driver: MySQLDriver, queues: list[str], *, each: int = 3) -> None:
    for queue in queues:
        await driver.enqueue([Message(str(number), queue, b"") for number in range(each)])


async def states(driver: MySQLDriver, queue: str) -> dict[str, list[int]]:
    """Return the attempts of the messages in each state."""
    found = {state: await driver.browse(queue, state, limit=99) for state in State}
    return {state.value: [one.attempt for one in some] for state, some in found.items() if some}


@pytest.mark.parametrize(("code", "state"), ERRORS)
@pytest.mark.parametrize("backlog", [False, True])
async def test_what_was_taken_before_an_error_is_returned(
    driver: MySQLDriver, queues: list[str], refuse, code: int, state: str, backlog: bool
) -> None:
    first, refused, third = queues
    await fill(driver, queues)
    refuse(refused, code, state)
    driver.session.backlog = backlog
    taken = await driver.dequeue(queues, limit=10, lease=60, wait=0)
    assert [(one.queue, one.id, one.attempt) for one in taken] == [
        (first, "0", 1),
        (first, "1", 1),
        (first, "2", 1),
    ]
    assert await states(driver, first) == {"running": [1, 1, 1]}
    assert await states(driver, refused) == await states(driver, third) == {"ready": [0, 0, 0]}
    assert list(await driver.settle([Settlement(one, Outcome.DONE) for one in taken])) == []
    again = await driver.dequeue([third], limit=10, lease=60, wait=0)
    assert [one.attempt for one in again] == [1, 1, 1]


@pytest.mark.parametrize(("code", "state"), ERRORS)
async def test_an_error_with_nothing_taken_is_told(
    driver: MySQLDriver, queues: list[str], refuse, code: int, state: str, monkeypatch
) -> None:
    monkeypatch.setattr(session_module, "CONFLICT_PAUSE", 0.0)
    await fill(driver, queues[:1])
    refuse(queues[0], code, state)
    with pytest.raises(BrokerRejected if code == 1644 else BrokerUnavailable):
        await driver.dequeue(queues, limit=10, lease=60, wait=0)
    assert await states(driver, queues[0]) == {"ready": [0, 0, 0]}


@pytest.fixture
def second_take_fails(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return a function that makes the nth claim from a queue fail, a number of times."""
    take = claims._take

    def fail(error: Exception, *, times: int = 1, first: int = 2) -> list[str]:
        tried: list[str] = []

        async def failing(link, tables, queue, limit, lease):
            tried.append(queue)
            if first <= len(tried) < first + times:
                raise error
            return await take(link, tables, queue, limit, lease)

        monkeypatch.setattr(claims, "_take", failing)
        return tried

    return fail


@pytest.mark.parametrize(
    "error",
    [
        pymysql.err.OperationalError(1213, "Deadlock found"),
        pymysql.err.OperationalError(2013, "Lost connection"),
        ConnectionResetError(),
        TimeoutError(),
        AttributeError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_the_error_is_nothing_is_forgotten(
    driver: MySQLDriver, queues: list[str], second_take_fails, error: Exception
) -> None:
    await fill(driver, queues)
    second_take_fails(error)
    taken = await driver.dequeue(queues, limit=10, lease=60, wait=0)
    assert [(one.queue, one.attempt) for one in taken] == [(queues[0], 1)] * 3
    rest = await driver.dequeue(queues, limit=10, lease=60, wait=0)
    assert [(one.queue, one.attempt) for one in rest] == [(queues[1], 1)] * 3 + [(queues[2], 1)] * 3


async def test_a_conflict_before_anything_is_taken_is_tried_again(
    driver: MySQLDriver, queues: list[str], second_take_fails, monkeypatch
) -> None:
    monkeypatch.setattr(session_module, "CONFLICT_PAUSE", 0.0)
    await fill(driver, queues)
    conflict = pymysql.err.OperationalError(1213, "Deadlock found")
    tried = second_take_fails(conflict, times=CONFLICT_TRIES, first=1)
    taken = await driver.dequeue(queues, limit=10, lease=60, wait=0)
    assert len(tried) == CONFLICT_TRIES + 3
    assert [one.attempt for one in taken] == [1] * 9


async def test_what_was_deleted_before_a_conflict_is_told(
    driver: MySQLDriver, queues: list[str], monkeypatch
) -> None:
    queue = queues[0]
    await fill(driver, [queue])
    (held, *_) = await driver.dequeue([queue], limit=1, lease=60, wait=0)
    await driver.settle([Settlement(held, Outcome.DEAD)])
    remove, dead, met = inspector._remove, driver.session.tables.dead_letters, []

    async def meeting_a_conflict(link, table, which):
        if table == dead and not met:
            met.append(table)
            raise pymysql.err.OperationalError(1213, "Deadlock found")
        return await remove(link, table, which)

    monkeypatch.setattr(inspector, "_remove", meeting_a_conflict)
    assert list(await driver.delete(queue, ["0", "1", "2", "3"])) == ["0", "1", "2"]
    assert met == [dead]
    assert await states(driver, queue) == {}


@pytest.mark.parametrize("name", ["\ud800", "na\u00efve \u2603", "a\0b"])
async def test_every_name_that_is_stored_is_delivered(
    driver: MySQLDriver, queues: list[str], name: str
) -> None:
    await driver.enqueue([Message(name, queues[0], b"body")])
    (taken,) = await driver.dequeue(queues, limit=9, lease=60, wait=0)
    assert (taken.id, taken.body) == (name, b"body")
    assert [one.id for one in await driver.find(queues[0], [name])] == [name]
    assert list(await driver.settle([Settlement(taken, Outcome.DONE)])) == []


async def test_a_wait_goes_on_after_what_was_taken_was_returned(
    driver: MySQLDriver, queues: list[str], refuse
) -> None:
    await fill(driver, queues[:2], each=1)
    refuse(queues[1])
    async with asyncio.timeout(10):
        (taken,) = await driver.dequeue(queues, limit=5, lease=60, wait=5)
        with pytest.raises(BrokerError):
            await driver.dequeue(queues, limit=5, lease=60, wait=5)
    assert taken.queue == queues[0]
    await driver.enqueue([Message("more", queues[2], b"")])
    (more,) = await driver.dequeue(queues[2:], limit=5, lease=60, wait=5)
    assert more.id == "more"
