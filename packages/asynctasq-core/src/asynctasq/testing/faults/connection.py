"""Drivers that connect, disconnect or handle cancellation wrongly."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Self
from uuid import uuid4

from asynctasq.drivers import Delivery, DriverSettings, Outcome, Settlement, State
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq.testing.contract import ConnectionContract
from asynctasq.testing.faults.registry import caught_by


@caught_by(ConnectionContract.test_a_disconnect_ends_every_task_and_thread)
class LeavesATaskBehind(MemoryDriver):
    """It does not stop its listener."""

    async def connect(self) -> None:
        """Start a task."""
        self.listener = asyncio.create_task(asyncio.sleep(3600))


@caught_by(ConnectionContract.test_a_disconnect_ends_every_task_and_thread)
class LeavesAThreadBehind(MemoryDriver):
    """It does not stop its thread."""

    async def connect(self) -> None:
        """Start a thread."""
        threading.Thread(target=threading.Event().wait, args=(60,), daemon=True).start()


@caught_by(ConnectionContract.test_connecting_twice_connects_once)
class RefusesASecondConnect(MemoryDriver):
    """Its second `connect` is an error."""

    connected = False

    async def connect(self) -> None:
        """Connect unless connected."""
        if self.connected:
            raise BrokerRejected("connected already")
        self.connected = True


@caught_by(ConnectionContract.test_disconnecting_twice_is_no_error)
class RefusesASecondDisconnect(MemoryDriver):
    """Its `disconnect` needs a connection."""

    connected = False

    async def connect(self) -> None:
        """Connect."""
        self.connected = True

    async def disconnect(self) -> None:
        """Disconnect if connected."""
        if not self.connected:
            raise BrokerRejected("not connected")
        self.connected = False


@caught_by(ConnectionContract.test_it_connects_again_after_a_disconnect)
class ConnectsOnce(MemoryDriver):
    """Its client cannot be reopened."""

    closed = False

    async def connect(self) -> None:
        """Connect unless it was disconnected."""
        if self.closed:
            raise BrokerUnavailable("closed")

    async def disconnect(self) -> None:
        """Disconnect permanently."""
        self.closed = True


@caught_by(ConnectionContract.test_a_disconnect_ends_a_waiting_dequeue)
class WaitsOnWhenDisconnected(MemoryDriver):
    """Its waiting dequeue does not end with the connection."""

    async def disconnect(self) -> None:
        """Do nothing."""


@caught_by(ConnectionContract.test_disconnecting_settles_nothing)
class GivesBackOnDisconnect(MemoryDriver):
    """Its broker releases the messages of a closed connection."""

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self.held: list[Delivery] = []

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages, and remember them."""
        taken = await super().dequeue(queues, limit=limit, lease=lease, wait=wait)
        self.held.extend(taken)
        return taken

    async def disconnect(self) -> None:
        """Release all remembered messages."""
        await super().settle([Settlement(one, Outcome.RELEASE) for one in self.held])


@caught_by(ConnectionContract.test_messages_outlive_the_driver_that_stored_them)
class TakesItsMessagesAlong(MemoryDriver):
    """It loses messages that it did not flush."""

    async def disconnect(self) -> None:
        """Remove all ready messages."""
        for stats in await super().queues():
            await super().purge(stats.queue, State.READY)


@caught_by(ConnectionContract.test_a_cancelled_call_leaves_the_driver_usable)
class KeepsTheConnectionOfACancelledCall(MemoryDriver):
    """It returns its only connection to the pool only if the call is not cancelled."""

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self.pool = asyncio.Semaphore(1)

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take with a connection from a pool of one."""
        await self.pool.acquire()
        taken = await super().dequeue(queues, limit=limit, lease=lease, wait=wait)
        self.pool.release()
        return taken


@caught_by(ConnectionContract.test_many_calls_at_once_do_not_mix)
class MixesAnswersUp(MemoryDriver):
    """It returns the answer of one call from another."""

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Store the answer where the next call overwrites it."""
        self.answer = await super().dequeue(queues, limit=limit, lease=lease, wait=wait)
        await asyncio.sleep(0)
        return self.answer


@caught_by(ConnectionContract.test_a_sibling_works_on_another_threads_loop)
class IsItsOwnSibling(MemoryDriver):
    """Its sibling is bound to the same event loop."""

    loop: asyncio.AbstractEventLoop | None = None

    async def connect(self) -> None:
        """Connect, on one loop only."""
        self.loop = self.loop or asyncio.get_running_loop()
        if self.loop is not asyncio.get_running_loop():
            raise RuntimeError("attached to a different loop")

    def sibling(self) -> Self:
        """Return itself."""
        return self


@caught_by(ConnectionContract.test_a_message_from_another_thread_wakes_a_waiting_dequeue)
class HasEstrangedSiblings(MemoryDriver):
    """Its siblings have other messages."""

    def sibling(self) -> Self:
        """Make a driver that shares nothing."""
        return type(self)(MemorySettings(memory_url=f"memory://{uuid4().hex}"))
