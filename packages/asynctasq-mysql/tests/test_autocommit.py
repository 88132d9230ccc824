"""A server whose init_connect turns autocommit off."""

import pytest

from asynctasq.drivers import Message, Outcome, Settlement

pytestmark = pytest.mark.anyio


@pytest.fixture
def user(start_server):
    """The DSN of a user to whom init_connect applies, as it does not to administrators."""
    server = start_server("--init-connect=SET autocommit=0")
    server.ask("CREATE USER plain@'%'")
    server.ask("GRANT ALL ON test.* TO plain@'%'")
    return f"mysql://plain@127.0.0.1:{server.port}/test"


async def test_what_the_driver_does_is_committed(driver_on, user) -> None:
    assert len(await driver_on(user).migrate()) > 0
    assert list(await driver_on(user).pending()) == []
    driver, other = driver_on(user), driver_on(user)
    for one in (driver, other):
        await one.connect()
    assert await driver.pause("paused")
    assert list(await other.paused()) == ["paused"]
    await driver.enqueue([Message("1", "queue", b"")])
    (held,) = await other.dequeue(["queue"], limit=9, lease=60, wait=0)
    assert list(await driver.extend([held], lease=60)) == []
    assert list(await driver.settle([Settlement(held, Outcome.DEAD)])) == []
    assert list(await other.requeue("queue", ["1"])) == ["1"]
    assert list(await driver.delete("queue", ["1"])) == ["1"]
    assert list(await other.queues()) == []
    for one in (driver, other):
        await one.disconnect()
