"""Abandoned attempts are reported on standard queues only."""

from dataclasses import replace

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.testing.contract import AbandonedContract, NewDriver
from asynctasq_sqs import SQSDriver, SQSSettings

pytestmark = pytest.mark.anyio


class TellingDriver(SQSDriver):
    """A driver whose queues are all standard queues."""

    limits = replace(SQSDriver.limits, tells_abandoned=True)


class TestStandardQueues(AbandonedContract):
    """The whole contract, though the driver does not promise it for FIFO queues."""

    @pytest.fixture
    def new_driver(self, settings: SQSSettings) -> NewDriver:
        return lambda: TellingDriver(settings)

    async def test_a_retry_counts_as_before(self, driver, queue: str) -> None:
        (held,) = await self.hold(driver, queue)
        for attempt in (2, 3):
            held = await self.settle_and_take(driver, queue, held, Outcome.RETRY)
            assert (held.attempt, held.abandoned) == (attempt, False)

    async def test_a_lease_that_runs_out_after_a_retry_abandons(self, driver, queue: str) -> None:
        (held,) = await self.hold(driver, queue)
        assert list(await driver.settle([Settlement(held, Outcome.RETRY)])) == []
        first = await self.take(driver, queue, lease=1)
        again = await self.take(driver, queue)
        assert [(one.attempt, one.abandoned) for one in (first, again)] == [(2, False), (3, True)]


async def test_a_fifo_queue_does_not_report_them(driver, queue: str) -> None:
    fifo = f"{queue}.fifo"
    assert not driver.limits.tells_abandoned
    await driver.enqueue([Message("id", fifo, b"")])
    assert await driver.dequeue([fifo], limit=1, lease=1, wait=10)
    (again,) = await driver.dequeue([fifo], limit=1, lease=60, wait=10)
    assert (again.attempt, again.abandoned) == (2, False)
