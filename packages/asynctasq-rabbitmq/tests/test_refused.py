"""A broker that refuses a running driver for a while, and then accepts it again."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable
from asynctasq_rabbitmq.connections import Turns

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

USER, VHOST = "worker", "apart"
ALL = ("set_permissions", "-p", VHOST, USER, ".*", ".*", ".*")

#: Ways to refuse a running worker, each with the way to undo it and the error message.
REFUSALS = {
    "password": (
        [("change_password", USER, "another")],
        [("change_password", USER, "secret")],
        "refuses the credentials; check rabbitmq_url",
    ),
    "vhost permission": (
        [("clear_permissions", "-p", VHOST, USER)],
        [ALL],
        "check the path of rabbitmq_url and the permissions",
    ),
    "vhost limit": (
        [("set_vhost_limits", "-p", VHOST, '{"max-connections": 0}')],
        [("clear_vhost_limits", "-p", VHOST)],
        "accepts no more connections; raise the limit",
    ),
    "user limit": (
        [("set_user_limits", USER, '{"max-connections": 0}')],
        [("clear_user_limits", USER, "all")],
        "accepts no more connections; raise the limit",
    ),
    "vhost down": (
        [
            (
                "eval",
                f'Sup = rabbit_vhost_sup_sup, {{ok, P}} = Sup:get_vhost_sup(<<"{VHOST}">>),'
                f' exit(P, kill), Sup:delete_on_all_nodes(<<"{VHOST}">>).',
            )
        ],
        [("restart_vhost", "-p", VHOST)],
        "virtual host that is down; start it by rabbitmqctl restart_vhost",
    ),
}


@pytest.fixture(scope="module")
def vhost(server):
    """A virtual host and a user of the private server."""
    server.control("add_vhost", VHOST)
    server.control("add_user", USER, "secret")
    server.control(*ALL)
    return f"amqp://{USER}:secret@127.0.0.1:{server.port}/{VHOST}"


@asynccontextmanager
async def connected(driver):
    await driver.connect()
    try:
        yield driver
    finally:
        await driver.disconnect()


async def insist(call):
    """Return the result of a call that is retried while the broker refuses it."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except BrokerError:
                await asyncio.sleep(0.1)


async def cut(driver) -> None:
    """Break both connections of a driver."""

    async def abort() -> None:
        connections = driver._session._connections
        for link in (connections._publisher[-1], connections._source[-1]):
            link.abort("a test")

    await driver._session.run(abort)


async def refused(call) -> str:
    """Return the error of a refused call; calls under way may end as unavailable."""
    async with asyncio.timeout(30):
        while True:
            started = time.monotonic()
            try:
                await call()
            except BrokerRejected as error:
                assert time.monotonic() - started < 5
                return str(error)
            except BrokerUnavailable:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_refusal_passes(server, vhost, driver_on, kind: str) -> None:
    take_away, give_back, remedy = REFUSALS[kind]
    queue = f"refused-{kind}"
    async with connected(driver_on(vhost)) as driver, connected(driver_on(vhost)) as fresh:
        await driver.enqueue([Message(str(number), queue, b"") for number in range(3)])
        held = []
        while len(held) < 3:
            held += await driver.dequeue([queue], limit=3 - len(held), lease=60, wait=10)
        await fresh.disconnect()
        for command in take_away:
            await asyncio.to_thread(server.control, *command)
        if "down" not in kind:
            await cut(driver)
        outcomes = [Outcome.DONE, Outcome.RETRY, Outcome.RELEASE]
        items = [Settlement(one, what) for one, what in zip(held, outcomes, strict=True)]
        try:
            assert list(await driver.extend(held, lease=60)) == []
            for call in (
                lambda: driver.enqueue([Message("more", queue, b"")]),
                lambda: driver.dequeue([queue], limit=1, lease=60, wait=5),
                lambda: driver.counts([queue]),
                fresh.connect,
            ):
                text = await refused(call)
                assert remedy in text
                assert "secret" not in text
                assert len(text.splitlines()) == 1
            assert list(await insist(lambda: driver.settle(items))) == []
        finally:
            for command in give_back:
                await asyncio.to_thread(server.control, *command)
        seen: dict[str, int] = {}
        while len(seen) < 2:
            batch = await insist(lambda: driver.dequeue([queue], limit=9, lease=60, wait=5))
            seen |= {one.id: one.attempt for one in batch}
            await driver.settle([Settlement(one, Outcome.DONE) for one in batch])
        assert seen == {"1": 2, "2": 1}


async def test_a_right_that_is_missing_for_a_moment_is_named(server, vhost, driver_on) -> None:
    async with connected(driver_on(vhost)) as driver:
        await driver.enqueue([Message("before", "rights", b"")])
        await asyncio.to_thread(
            server.control, "set_permissions", "-p", VHOST, USER, "^$", "^$", ".*"
        )
        try:
            await cut_publisher(driver)
            text = await refused(lambda: driver.enqueue([Message("meanwhile", "rights", b"")]))
            assert "lacks a permission" in text
        finally:
            await asyncio.to_thread(server.control, *ALL)
        await insist(lambda: driver.enqueue([Message("after", "rights", b"")]))


async def cut_publisher(driver) -> None:
    """Close the publishing channel: permissions are cached in it."""

    async def close() -> None:
        await driver._session._connections._publisher[0]._channel.close()

    await driver._session.run(close)


async def test_a_lease_that_ends_meanwhile_is_given_back_afterwards(
    server, vhost, driver_on
) -> None:
    take_away, give_back, _ = REFUSALS["password"]
    async with connected(driver_on(vhost)) as driver, connected(driver_on(vhost)) as other:
        await driver.enqueue([Message("id", "ends", b"")])
        (held,) = await driver.dequeue(["ends"], limit=1, lease=0.5, wait=10)
        await asyncio.to_thread(server.control, *take_away[0])
        try:

            async def abort() -> None:
                driver._session._connections._publisher[-1].abort("a test")

            await driver._session.run(abort)
            assert "credentials" in await refused(
                lambda: driver.enqueue([Message("more", "ends", b"")])
            )
        finally:
            await asyncio.to_thread(server.control, *give_back[0])
        (again,) = await other.dequeue(["ends"], limit=1, lease=60, wait=20)
        assert (again.id, again.attempt, again.abandoned) == (held.id, 2, True)


async def test_what_nobody_takes_is_handed_back_afterwards(server, vhost, driver_on) -> None:
    take_away, give_back, _ = REFUSALS["password"]
    async with connected(driver_on(vhost)) as driver, connected(driver_on(vhost)) as other:
        assert await driver.dequeue(["idle"], limit=5, lease=60, wait=0.2) == []
        await asyncio.to_thread(server.control, *take_away[0])
        try:

            async def abort() -> None:
                driver._session._connections._publisher[-1].abort("a test")

            await driver._session.run(abort)
            waiting = asyncio.ensure_future(driver.dequeue(["idle"], limit=5, lease=60, wait=60))
            async with asyncio.timeout(20):  # it has credit, and is cancelled once there is more
                while not driver._session._consumers["idle"].wanted:
                    await asyncio.sleep(0.01)
            await other.enqueue([Message(str(number), "idle", b"") for number in range(9)])
            await waiting
            async with asyncio.timeout(20):
                while driver._session._consumers["idle"].credit:
                    await asyncio.sleep(0.01)
        finally:
            await asyncio.to_thread(server.control, *give_back[0])
        seen: dict[str, int] = {}
        async with asyncio.timeout(20):
            while len(seen) < 9 - len(waiting.result()):
                batch = await other.dequeue(["idle"], limit=9, lease=60, wait=5)
                seen |= {one.id: one.attempt for one in batch}
        assert set(seen.values()) == {1}


async def test_calls_that_wait_for_a_connection_fail_with_it() -> None:
    turns, tries = Turns(), 0

    async def connect() -> None:
        nonlocal tries
        async with turns.take():
            tries += 1
            await asyncio.sleep(0.01)
            raise BrokerUnavailable("nobody is there")

    results = await asyncio.gather(*(connect() for _ in range(20)), return_exceptions=True)
    assert {str(one) for one in results} == {"nobody is there"}
    assert tries == 1
    with pytest.raises(BrokerUnavailable):
        await connect()
    assert tries == 2
