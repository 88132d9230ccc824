"""The driver behind a Sentinel, before and after a fail-over."""

import asyncio
from collections.abc import Sequence

import pytest
from pydantic import SecretStr

from asynctasq.drivers import BaseDriver, Delivery, Message, Outcome, Settlement
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.contract import ConnectionContract, NewDriver, SettleContract, WaitContract
from asynctasq_redis import RedisDriver, RedisSettings

pytestmark = pytest.mark.anyio


class TestSentinel(ConnectionContract, WaitContract, SettleContract):
    """What depends on connections."""

    @pytest.fixture
    def new_driver(self, sentinel_url: str) -> NewDriver:
        settings = RedisSettings(redis_url=SecretStr(sentinel_url))
        return lambda: RedisDriver(settings)


async def test_a_driver_follows_the_master(sentinel, driver_on) -> None:
    master, url = sentinel
    driver = driver_on(url)
    await driver.connect()
    await driver.enqueue([Message("before", "queue", b"")])
    await asyncio.sleep(0.3)  # replication is not acknowledged
    waiting = asyncio.ensure_future(_dequeue_when_possible(driver, "other"))
    await asyncio.sleep(0.1)
    master.stop()
    async with asyncio.timeout(60):
        (taken,) = await _dequeue_when_possible(driver, "queue")
        assert taken.id == "before"
        assert await driver.settle([Settlement(taken, Outcome.DONE)]) == []
        await driver.enqueue([Message("after", "other", b"")])
        assert [one.id for one in await waiting] == ["after"]
    await driver.disconnect()


async def test_an_unknown_service_is_unavailable(sentinel_url: str, driver_on) -> None:
    driver = driver_on(sentinel_url.replace("mymaster", "other"))
    with pytest.raises(BrokerUnavailable, match="have no master"):
        await driver.connect()


async def _dequeue_when_possible(driver: BaseDriver, queue: str) -> Sequence[Delivery]:
    while True:
        try:
            if taken := await driver.dequeue([queue], limit=1, lease=30, wait=5):
                return taken
        except BrokerUnavailable:
            await asyncio.sleep(0.1)
