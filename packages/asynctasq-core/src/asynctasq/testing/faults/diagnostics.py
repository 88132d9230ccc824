"""Drivers that diagnose their broker wrongly."""

import asyncio
from collections.abc import Sequence

from asynctasq.drivers import Delivery, Finding, Level, Outcome, Settlement
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.contract import DiagnosticsContract
from asynctasq.testing.faults.registry import caught_by


@caught_by(DiagnosticsContract.test_a_broker_in_order_has_no_problem)
class CriesWolf(MemoryDriver):
    """It reports every finding as a problem."""

    async def diagnose(self) -> Sequence[Finding]:
        """Raise every level to PROBLEM."""
        found = await super().diagnose()
        return [Finding(one.name, one.value, Level.PROBLEM, one.advice) for one in found]


@caught_by(DiagnosticsContract.test_a_finding_says_what_was_found)
class FindsSomething(MemoryDriver):
    """It reports a setting that does not exist."""

    async def diagnose(self) -> Sequence[Finding]:
        """Return a finding without a value."""
        return [*await super().diagnose(), Finding("version", "")]


@caught_by(DiagnosticsContract.test_no_two_findings_have_the_same_name)
class LooksTwice(MemoryDriver):
    """It examines two servers, and does not name them in its findings."""

    async def diagnose(self) -> Sequence[Finding]:
        """Return every finding twice."""
        return [*await super().diagnose(), *await super().diagnose()]


@caught_by(DiagnosticsContract.test_what_is_not_in_order_has_one_line_of_advice)
class LeavesYouAlone(MemoryDriver):
    """It reports problems without advice."""

    async def diagnose(self) -> Sequence[Finding]:
        """Remove the advice."""
        return [Finding(one.name, one.value, one.level) for one in await super().diagnose()]


@caught_by(DiagnosticsContract.test_looking_leaves_no_task_behind)
class ListensOn(MemoryDriver):
    """It tests notifications, and does not stop listening."""

    async def diagnose(self) -> Sequence[Finding]:
        """Leave a waiting task behind."""
        self._listening = asyncio.create_task(asyncio.sleep(60))
        return await super().diagnose()


@caught_by(DiagnosticsContract.test_a_connected_driver_looks_and_works_on)
class HangsUpAfterLooking(MemoryDriver):
    """It closes the connection that all other calls use."""

    _hung_up = False

    async def diagnose(self) -> Sequence[Finding]:
        """Diagnose, and disconnect."""
        self._hung_up = True
        return await super().diagnose()

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages, if there is still a connection."""
        if self._hung_up:
            raise BrokerUnavailable("the driver is not connected; call connect() first")
        return await super().dequeue(queues, limit=limit, lease=lease, wait=wait)


@caught_by(DiagnosticsContract.test_looking_changes_nothing_that_is_stored)
class TakesOneToSee(MemoryDriver):
    """It tests delivery with a message of the application."""

    async def diagnose(self) -> Sequence[Finding]:
        """Take a message from every queue, and settle it as done."""
        for one in await self.queues():
            taken = await self.dequeue([one.queue], limit=1, lease=1, wait=0)
            await self.settle([Settlement(item, Outcome.DONE) for item in taken])
        return await super().diagnose()
