"""The promises of the `Workers` capability."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from asynctasq.drivers import BaseDriver, WorkerInfo, Workers
from asynctasq.testing.contract.base import Contract, fresh


class WorkersContract(Contract):
    """A worker is listed until it is forgotten, or its heartbeats stop."""

    @pytest.fixture
    def registry(self, driver: BaseDriver) -> Workers:
        """The connected driver, as `Workers`."""
        assert isinstance(driver, Workers)
        return driver

    @pytest.fixture
    def worker(self) -> WorkerInfo:
        """A worker that is not registered."""
        return WorkerInfo(
            id=fresh("worker"),
            host="häuschen.example",
            pid=4711,
            queues=("high", "with space", "ü:{}%"),
            concurrency=10,
            running=3,
            done=123_456_789_012,
            uptime=1.5,
        )

    async def heard(self, registry: Workers, *ids: str) -> list[tuple[WorkerInfo, float]]:
        """The registry's entries for these workers."""
        return [item for item in await registry.workers() if item[0].id in ids]

    async def test_a_heartbeat_is_remembered(self, registry: Workers, worker: WorkerInfo) -> None:
        await registry.heartbeat(worker, ttl=60)
        ((info, seconds),) = await self.heard(registry, worker.id)
        assert info == worker
        assert 0 <= seconds < self.patience

    async def test_another_driver_knows_of_it(
        self, registry: Workers, other_driver: BaseDriver, worker: WorkerInfo
    ) -> None:
        assert isinstance(other_driver, Workers)
        await registry.heartbeat(worker, ttl=60)
        assert len(await self.heard(other_driver, worker.id)) == 1

    async def test_a_worker_without_queues_is_remembered(
        self, registry: Workers, worker: WorkerInfo
    ) -> None:
        idle = replace(worker, queues=())
        await registry.heartbeat(idle, ttl=60)
        assert [info for info, _ in await self.heard(registry, worker.id)] == [idle]

    async def test_the_silence_of_a_worker_grows(
        self, registry: Workers, worker: WorkerInfo
    ) -> None:
        await registry.heartbeat(worker, ttl=60)
        await asyncio.sleep(0.3)
        ((_, seconds),) = await self.heard(registry, worker.id)
        assert 0.25 <= seconds < self.patience

    async def test_the_latest_heartbeat_replaces_the_one_before(
        self, registry: Workers, worker: WorkerInfo
    ) -> None:
        await registry.heartbeat(worker, ttl=60)
        later = replace(worker, running=0, done=7, queues=("low",))
        await registry.heartbeat(later, ttl=60)
        assert [info for info, _ in await self.heard(registry, worker.id)] == [later]

    async def test_a_worker_not_heard_from_is_forgotten(
        self, registry: Workers, worker: WorkerInfo
    ) -> None:
        await registry.heartbeat(worker, ttl=0.3)
        started = time.monotonic()
        while await self.heard(registry, worker.id):
            assert time.monotonic() - started < self.patience
            await asyncio.sleep(0.05)

    async def test_a_heartbeat_prolongs_the_memory(
        self, registry: Workers, worker: WorkerInfo
    ) -> None:
        await registry.heartbeat(worker, ttl=0.2)
        await registry.heartbeat(worker, ttl=60)
        await asyncio.sleep(0.4)
        assert len(await self.heard(registry, worker.id)) == 1

    async def test_a_worker_that_ended_is_forgotten(
        self, registry: Workers, worker: WorkerInfo
    ) -> None:
        await registry.heartbeat(worker, ttl=60)
        await registry.forget(worker.id)
        assert await self.heard(registry, worker.id) == []

    async def test_forgetting_leaves_other_workers_alone(
        self, registry: Workers, worker: WorkerInfo
    ) -> None:
        await registry.heartbeat(worker, ttl=60)
        await registry.forget(fresh("worker"))
        assert len(await self.heard(registry, worker.id)) == 1

    async def test_workers_are_listed_by_id(self, registry: Workers, worker: WorkerInfo) -> None:
        names = [f"{worker.id}-{letter}" for letter in "cab"]
        await self.register(registry, worker, names)
        listed = [info.id for info, _ in await self.heard(registry, *names)]
        assert listed == sorted(names)

    async def register(self, registry: Workers, worker: WorkerInfo, names: Sequence[str]) -> None:
        """Send a heartbeat of several workers."""
        for name in names:
            await registry.heartbeat(replace(worker, id=name), ttl=60)
