"""The SQLite driver: passes the seam's calls to the thread that owns the file."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self, TypeVar, cast

from asynctasq.drivers.base_driver import BaseDriver, Delivery, Message, Outcome, Settlement
from asynctasq.drivers.capabilities.diagnostics import Finding
from asynctasq.drivers.capabilities.workers import WorkerInfo
from asynctasq.drivers.session_driver import WRONG_LOOP
from asynctasq.drivers.settings import DriverSettings
from asynctasq.drivers.sqlite import control, diagnostics, inspector, transaction, workers
from asynctasq.drivers.sqlite.database import Database
from asynctasq.drivers.sqlite.dequeue import Claim, claim
from asynctasq.drivers.sqlite.enqueue import enqueue
from asynctasq.drivers.sqlite.leases import extend
from asynctasq.drivers.sqlite.settings import SQLiteSettings
from asynctasq.drivers.sqlite.settle import settle
from asynctasq.drivers.sqlite.thread import DatabaseThread, take_error
from asynctasq.drivers.stored import QueueStats, State, StoredMessage
from asynctasq.errors import BrokerUnavailable

T = TypeVar("T")

#: Seconds after which a waiting dequeue polls in any case: the machine's clock may have been set.
POLL_EVERY = 1.0


class SQLiteDriver(BaseDriver):
    """Queues in one file, for any number of processes on one machine.

    The broker's clock is the machine's. Set back, it makes messages wait until it has caught up;
    set forward, it ends leases early: their next `settle` or `extend` reports them as lost.
    """

    settings_type = SQLiteSettings

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings or SQLiteSettings())
        self._path = cast(SQLiteSettings, self.settings).file()
        self._thread: DatabaseThread | None = None

    def sibling(self) -> Self:
        """A second driver on the same file, also after a change of the working directory."""
        sibling = super().sibling()
        sibling._path = self._path
        return sibling

    async def connect(self) -> None:
        """Open the file, and create it if needed; see `BaseDriver.connect`."""
        self._leave_other_loops()
        if self._thread is not None:
            return
        self._thread = DatabaseThread(Database(self._path, cast(SQLiteSettings, self.settings)))
        try:
            await self._call(Database.open)
        except BaseException:  # undone, and raised again
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """Close the file and end the thread; see `BaseDriver.disconnect`."""
        self._leave_other_loops()
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.end()

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages; see `BaseDriver.enqueue`."""
        if messages:
            await self._call(partial(enqueue, messages=messages))

    async def enqueue_on(self, connection: object, messages: Sequence[Message]) -> None:
        """Store messages over the caller's connection; see `TransactionalEnqueue`."""
        await transaction.enqueue_on(connection, self._path, messages)

    def enqueue_on_sync(self, connection: object, messages: Sequence[Message]) -> None:
        """Store messages over the caller's connection; see `TransactionalEnqueue`."""
        transaction.enqueue_on_sync(connection, self._path, messages)

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages; see `BaseDriver.dequeue`."""
        limit = min(limit, self.limits.dequeue_batch)
        work = partial(claim, queues=tuple(queues), limit=limit, lease=lease)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self._running().watch() as changed:
            while True:
                changed.clear()
                taken, seconds_to_next = await self._claim(work)
                left = deadline - loop.time()
                if taken or left <= 0:
                    return taken
                await _wait(changed, min(left, seconds_to_next, POLL_EVERY))

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes; see `BaseDriver.settle`."""
        if not settlements:
            return []
        return await self._call(partial(settle, settlements=settlements))

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases; see `BaseDriver.extend`."""
        if not deliveries:
            return []
        return await self._call(partial(extend, deliveries=deliveries, lease=lease))

    async def queues(self) -> Sequence[QueueStats]:
        """Counts of every queue; see `Inspector`."""
        return await self._call(inspector.stats)

    async def counts(self, queues: Sequence[str]) -> Sequence[QueueStats]:
        """Counts of these queues; see `Inspector`."""
        known = {stats.queue: stats for stats in await self.queues()}
        return [known.get(queue) or QueueStats.empty(queue) for queue in queues]

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        """Messages of one state; see `Inspector`."""
        return await self._call(lambda db: inspector.browse(db, queue, state, limit, offset))

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        """Messages by id; see `Inspector`."""
        return await self._call(lambda db: inspector.find(db, queue, ids))

    async def requeue(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Make dead messages deliverable; see `Inspector`."""
        return await self._call(lambda db: inspector.requeue(db, queue, ids))

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove messages; see `Inspector`."""
        return await self._call(lambda db: inspector.delete(db, queue, ids))

    async def purge(self, queue: str, state: State) -> int:
        """Remove messages of one state; see `Inspector`."""
        removed = 0
        while step := await self._call(lambda db: inspector.purge(db, queue, state)):
            removed += step
        return removed

    async def pause(self, queue: str) -> bool:
        """Pause a queue; see `Control`."""
        return await self._call(lambda db: control.pause(db, queue))

    async def resume(self, queue: str) -> bool:
        """Resume a queue; see `Control`."""
        return await self._call(lambda db: control.resume(db, queue))

    async def paused(self) -> Sequence[str]:
        """The paused queues; see `Control`."""
        return await self._call(control.paused)

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove held messages; see `Control`."""
        return await self._call(lambda db: control.revoke(db, queue, ids))

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Store a worker; see `Workers`."""
        await self._call(lambda db: workers.heartbeat(db, worker, ttl))

    async def workers(self) -> Sequence[tuple[WorkerInfo, float]]:
        """The live workers; see `Workers`."""
        return await self._call(workers.workers)

    async def forget(self, worker_id: str) -> None:
        """Remove a worker; see `Workers`."""
        await self._call(lambda db: workers.forget(db, worker_id))

    async def diagnose(self) -> Sequence[Finding]:
        """Check the file, its journal and its disk, on a separate connection; see `Diagnostics`."""
        settings = cast(SQLiteSettings, self.settings)
        return await asyncio.to_thread(diagnostics.diagnose, self._path, settings)

    async def _call(self, work: Callable[[Database], T]) -> T:
        return await self._running().submit(work)

    async def _claim(self, work: Callable[[Database], Claim]) -> Claim:
        thread = self._running()
        future = thread.submit(work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(partial(_release, thread))
            raise

    def _leave_other_loops(self) -> None:
        """Drop a thread of a parent process, or of a closed event loop.

        Raises `RuntimeError` for a thread of another open event loop.
        """
        if self._thread is None or self._thread.is_of_another_process():
            self._thread = None
        elif self._thread.is_of_another_loop():
            self._thread.end_without_loop()
            self._thread = None

    def _running(self) -> DatabaseThread:
        if self._thread is None:
            raise BrokerUnavailable(f"{self._path} is not connected; call connect() first")
        if self._thread.is_of_another_process():
            raise BrokerUnavailable(f"{self._path} was opened before a fork; call connect() again")
        if self._thread.is_of_another_loop():
            raise RuntimeError(WRONG_LOOP)
        return self._thread


def _release(thread: DatabaseThread, future: asyncio.Future[Claim]) -> None:
    """Release the messages of a cancelled claim."""
    if future.cancelled() or future.exception() is not None:
        return
    released = [Settlement(delivery, Outcome.RELEASE) for delivery in future.result().deliveries]
    if released:
        settled = thread.submit(partial(settle, settlements=released))
        settled.add_done_callback(take_error)  # if it fails, the leases expire


async def _wait(event: asyncio.Event, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        pass
