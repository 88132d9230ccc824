"""Drivers that look into their broker and tell it wrong."""

import asyncio
from collections.abc import Sequence

from asynctasq.drivers import Delivery, Finding, Level, Outcome, Settlement
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerUnavailable
from asynctasq.testing.contract import DiagnosticsContract
from asynctasq.testing.faults.registry import caught_by


@caught_by(DiagnosticsContract.test_a_broker_in_order_has_no_problem)
class CriesWolf(MemoryDriver):
    """It takes what could be better for what does not work."""

    async def diagnose(self) -> Sequence[Finding]:
        """Call everything a problem."""
        found = await super().diagnose()
        return [Finding(one.name, one.value, Level.PROBLEM, one.advice) for one in found]


@caught_by(DiagnosticsContract.test_a_finding_says_what_was_found)
class FindsSomething(MemoryDriver):
    """It has read a setting that is not there."""

    async def diagnose(self) -> Sequence[Finding]:
        """Find nothing, and name it."""
        return [*await super().diagnose(), Finding("version", "")]


@caught_by(DiagnosticsContract.test_no_two_findings_have_the_same_name)
class LooksTwice(MemoryDriver):
    """It looks at each of two servers, and does not say at which."""

    async def diagnose(self) -> Sequence[Finding]:
        """Say everything twice."""
        return [*await super().diagnose(), *await super().diagnose()]


@caught_by(DiagnosticsContract.test_what_is_not_in_order_has_one_line_of_advice)
class LeavesYouAlone(MemoryDriver):
    """It says what is wrong, and not what to do."""

    async def diagnose(self) -> Sequence[Finding]:
        """Give no advice."""
        return [Finding(one.name, one.value, one.level) for one in await super().diagnose()]


@caught_by(DiagnosticsContract.test_looking_leaves_no_task_behind)
class ListensOn(MemoryDriver):
    """It tries whether it is told of messages, and does not stop listening."""

    async def diagnose(self) -> Sequence[Finding]:
        """Begin to wait, and leave."""
        self._listening = asyncio.create_task(asyncio.sleep(60))
        return await super().diagnose()


@caught_by(DiagnosticsContract.test_a_connected_driver_looks_and_works_on)
class HangsUpAfterLooking(MemoryDriver):
    """It closes the connection that it looked with, and everybody else uses."""

    _hung_up = False

    async def diagnose(self) -> Sequence[Finding]:
        """Look, and let go of the broker."""
        self._hung_up = True
        return await super().diagnose()

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take messages, if there still is a connection."""
        if self._hung_up:
            raise BrokerUnavailable("the driver is not connected; call connect() first")
        return await super().dequeue(queues, limit=limit, lease=lease, wait=wait)


@caught_by(DiagnosticsContract.test_looking_changes_nothing_that_is_stored)
class TakesOneToSee(MemoryDriver):
    """It tries whether messages come, with one of the application's."""

    async def diagnose(self) -> Sequence[Finding]:
        """Take a message from every queue, and be done with it."""
        for one in await self.queues():
            taken = await self.dequeue([one.queue], limit=1, lease=1, wait=0)
            await self.settle([Settlement(item, Outcome.DONE) for item in taken])
        return await super().diagnose()
