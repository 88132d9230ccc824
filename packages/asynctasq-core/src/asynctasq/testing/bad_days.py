"""Correct drivers on a bad network: memory drivers that lose answers and raise foreign errors.

The drivers of `asynctasq.testing.faults` break a promise of the seam, and the contract catches
them. These drivers keep every promise, but the network between them and their broker fails, or a
client library raises an error that was not translated. A correct engine runs every task, and
counts its attempts.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from asynctasq.drivers import Delivery, Message, Settlement
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.drivers.capabilities.workers import WorkerInfo
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerUnavailable

#: Every bad day, in the order of its definition.
BAD_DAYS: list[type["BadDay"]] = []


class BadDay(MemoryDriver):
    """Counts calls, and fails some of them. All drivers of one store share the count.

    Attributes:
        failing: the numbers of the calls of each method that fail, from 1.
        burns_attempts: a delivery may not reach its worker, so that a message has fewer attempts
            than it is allowed.
    """

    failing: ClassVar[frozenset[int]] = frozenset({1, 2, 4})
    burns_attempts: ClassVar[bool] = False
    calls: ClassVar[defaultdict[tuple[object, str], int]] = defaultdict(int)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.__name__.startswith("_"):
            BAD_DAYS.append(cls)

    def goes_wrong(self, method: str) -> bool:
        """Count a call; return whether it fails."""
        key = self.settings.location(), method
        self.calls[key] += 1
        return self.calls[key] in self.failing


class _Raises(BadDay):
    """Raises `error` from one method, before or after the call is carried out."""

    method: ClassVar[str]
    error: ClassVar[Exception]
    is_applied: ClassVar[bool] = False

    def _before(self, method: str) -> bool:
        wrong = method == self.method and self.goes_wrong(method)
        if wrong and not self.is_applied:
            raise self.error
        return wrong

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store messages."""
        wrong = self._before("enqueue")
        await super().enqueue(messages)
        if wrong:
            raise self.error

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages."""
        wrong = self._before("dequeue")
        taken = await super().dequeue(queues, limit=limit, lease=lease, wait=wait)
        if wrong:
            raise self.error
        return taken

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes."""
        wrong = self._before("settle")
        lost = await super().settle(settlements)
        if wrong:
            raise self.error
        return lost

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        """Extend leases."""
        wrong = self._before("extend")
        lost = await super().extend(deliveries, lease=lease)
        if wrong:
            raise self.error
        return lost

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Register a worker."""
        wrong = self._before("heartbeat")
        await super().heartbeat(worker, ttl=ttl)
        if wrong:
            raise self.error


_AWAY = BrokerUnavailable("the answer was lost")
_BROKEN = AttributeError("'NoneType' object has no attribute 'write'")
_FULL = OSError(28, "No space left on device")


class SettlesAndFails(_Raises):
    """Outcomes are applied, and the answer is lost."""

    method, error, is_applied = "settle", _AWAY, True


class TakesAndFails(_Raises):
    """Messages are leased, and the answer is lost: they are delivered again when the lease ends."""

    method, error, is_applied, burns_attempts = "dequeue", _AWAY, True, True


class ExtendsAndFails(_Raises):
    """Leases are extended, and the answer is lost."""

    method, error, is_applied = "extend", _AWAY, True


class SettlesWithAForeignError(_Raises):
    """An untranslated error of the client library, before the outcomes are applied."""

    method, error = "settle", _BROKEN


class SettlesAndRaisesAForeignError(_Raises):
    """An untranslated error of the operating system, after the outcomes are applied."""

    method, error, is_applied = "settle", _FULL, True


class TakesWithAForeignError(_Raises):
    """A fetch fails with an error of the client library."""

    method, error = "dequeue", _BROKEN


class ExtendsWithAForeignError(_Raises):
    """Extending leases fails with an error of the operating system."""

    method, error = "extend", _FULL


class RegistersWithAForeignError(_Raises):
    """A heartbeat fails with an error of the client library."""

    method, error = "heartbeat", _BROKEN
    failing = frozenset({2, 3})


class AnswersAfterTheNextFetch(BadDay):
    """Outcomes are applied, and the answer arrives after the next delivery of their messages."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes, and return late."""
        lost = await super().settle(settlements)
        await asyncio.sleep(0.05)
        return lost


class TakesLongerThanALease(BadDay):
    """Outcomes arrive after their leases ran out, and so do the extensions."""

    failing = frozenset({1})
    burns_attempts = True

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes, the first ones late."""
        if self.goes_wrong("settle"):
            await super().extend([one.delivery for one in settlements], lease=0.01)
            await asyncio.sleep(0.2)
        return await super().settle(settlements)


class ForgetsTheFirstClaim(BadDay):
    """Stalls for longer than a lease: a claim is carried out, and its answer is lost."""

    failing = frozenset({1})

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        """Apply outcomes after another claim took their messages."""
        if self.goes_wrong("settle"):
            held = [one.delivery for one in settlements]
            await super().extend(held, lease=0.0)
            queues = sorted({one.queue for one in held})
            await BaseDriver.sibling(self).dequeue(queues, limit=len(held), lease=0.3, wait=0)
        return await super().settle(settlements)
