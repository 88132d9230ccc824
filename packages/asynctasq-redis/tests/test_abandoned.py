"""What is stored beside a message that was abandoned, and what of it is shown."""

import pytest

from asynctasq.drivers import Delivery, Message, Outcome, Settlement, State
from asynctasq_redis import RedisDriver

HELD = "{asynctasq:queue}:held"

pytestmark = pytest.mark.anyio


async def take(driver: RedisDriver) -> Delivery:
    (found,) = await driver.dequeue(["queue"], limit=1, lease=60, wait=0)
    return found


@pytest.mark.parametrize("delay", [0.0, 60.0])
async def test_a_release_of_what_was_abandoned_is_shown_as_any_other(
    server, driver_on, delay: float
) -> None:
    one = server("--save", "")
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message("id", "queue", b"body")])
    await take(driver)
    one.ask("HSET", "{asynctasq:queue}:bodies", "id", "1000000000000000body")  # it is old
    one.ask("ZADD", HELD, 1, "id")  # its lease ended long ago
    again = await take(driver)
    assert (again.attempt, again.abandoned) == (2, True)
    (shown,) = await driver.find("queue", ["id"])
    assert (shown.state, shown.attempt) == (State.RUNNING, 2)
    assert await driver.settle([Settlement(again, Outcome.RELEASE, delay)]) == []
    (shown,) = await driver.find("queue", ["id"])
    assert (shown.state, shown.attempt) == (State.DELAYED if delay else State.READY, 1)
    assert shown.seconds <= 60
    await driver.disconnect()


async def test_no_further_key_or_field_is_stored(server, driver_on) -> None:
    one = server("--save", "")
    driver = driver_on(one.url)
    await driver.connect()
    await driver.enqueue([Message("id", "queue", b"body")])
    before = None
    for _ in range(3):
        await take(driver)
        keys = sorted(one.ask("KEYS", "*"))
        fields = one.ask("HLEN", "{asynctasq:queue}:meta")
        assert before in (None, (keys, fields))
        before = (keys, fields)
        one.ask("ZADD", HELD, 1, "id")
    await driver.disconnect()
