"""The memory driver: queues inside one process, for tests and trying things out.

It keeps every promise of the seam but durability, and is the shortest example of a driver.
"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, cast

from asynctasq.drivers.base_driver import BaseDriver, Delivery, Limits, Message, Settlement
from asynctasq.drivers.capabilities.diagnostics import Finding, Level
from asynctasq.drivers.capabilities.workers import WorkerInfo
from asynctasq.drivers.memory_store import MemoryStore
from asynctasq.drivers.settings import DriverSettings
from asynctasq.drivers.stored import QueueStats, State, StoredMessage
from asynctasq.errors import BrokerRejected

_stores: dict[str, MemoryStore] = {}


class MemorySettings(DriverSettings):
    """Settings of the memory driver.

    Attributes:
        memory_url: ``memory://NAME``; drivers with the same name share their messages.
    """

    url_field: ClassVar[str | None] = "memory_url"
    memory_url: str = "memory://default"

    def location(self) -> str:
        """The name of the shared messages."""
        return self.memory_url


class MemoryDriver(BaseDriver):
    """Messages in this process's memory, shared between threads; gone when the process ends."""

    settings_type = MemorySettings
    limits = Limits(durable=False)

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings or MemorySettings())
        url = cast(MemorySettings, self.settings).memory_url
        self._store = _stores.setdefault(url, MemoryStore())
        self._waiting: set[asyncio.Event] = set()

    async def connect(self) -> None:
        """Does nothing: there is no connection."""

    async def disconnect(self) -> None:
        """Wakes waiting dequeues, which return; see `BaseDriver.disconnect`."""
        while self._waiting:
            self._waiting.pop().set()

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages; see `BaseDriver.enqueue`."""
        self._store.enqueue(messages)

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages; see `BaseDriver.dequeue`."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        self._waiting.add(changed)
        self._store.watch(changed, loop)
        try:
            while True:
                changed.clear()
                taken = self._store.take(queues, limit, lease)
                left = deadline - loop.time()
                if taken or left <= 0 or changed not in self._waiting:
                    return taken
                next_due = self._store.seconds_to_next(queues)
                timeout = left if next_due is None else min(left, next_due)
                await _wait(changed, timeout)
        finally:
            self._store.unwatch(changed)
            self._waiting.discard(changed)

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes; see `BaseDriver.settle`."""
        return self._store.settle(settlements)

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases; see `BaseDriver.extend`."""
        return self._store.extend(deliveries, lease)

    async def queues(self) -> Sequence[QueueStats]:
        """Counts of every queue; see `Inspector`."""
        return self._store.stats()

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Counts of these queues; see `Inspector`."""
        known = {stats.queue: stats for stats in self._store.stats()}
        return [known.get(queue) or QueueStats.empty(queue) for queue in queues]

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Messages of one state; see `Inspector`."""
        return self._store.browse(queue, state)[offset : offset + limit]

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Messages by id; see `Inspector`."""
        return self._store.find(queue, ids)

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make dead messages deliverable; see `Inspector`."""
        return self._store.requeue(queue, ids)

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove messages; see `Inspector`."""
        return self._store.delete(queue, ids)

    async def purge(self, queue: str, state: State) -> int:
        """Remove messages of one state; see `Inspector`."""
        if state is State.RUNNING:
            raise BrokerRejected("running messages cannot be purged; stop their workers instead")
        ids = [message.id for message in self._store.browse(queue, state)]
        return len(self._store.delete(queue, ids))

    async def pause(self, queue: str) -> bool:
        """Pause a queue; see `Control`."""
        return self._store.pause(queue)

    async def resume(self, queue: str) -> bool:
        """Resume a queue; see `Control`."""
        return self._store.resume(queue)

    async def paused(self) -> Sequence[str]:
        """The paused queues; see `Control`."""
        return self._store.paused()

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove held messages; see `Control`."""
        return self._store.revoke(queue, ids)

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Store a worker; see `Workers`."""
        self._store.heartbeat(worker, ttl)

    async def workers(self) -> Sequence[tuple[WorkerInfo, float]]:
        """The live workers; see `Workers`."""
        return self._store.workers()

    async def forget(self, worker_id: str) -> None:
        """Remove a worker; see `Workers`."""
        self._store.forget(worker_id)

    async def diagnose(self) -> Sequence[Finding]:
        """Warns that memory is not durable; see `Diagnostics`."""
        advice = "keep what matters with another driver; this one is for tests"
        return [
            Finding("durability", "gone with the process", Level.WARNING, advice),
            Finding.of_paused(await self.paused()),
        ]


async def _wait(event: asyncio.Event, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        pass
