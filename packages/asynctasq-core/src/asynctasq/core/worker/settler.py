"""Settles finished attempts in batches and retries until the broker answers.

One call is under way at a time; attempts that finish meanwhile make the next batch. A batch that
fails is split by queue, and each failing queue has a back-off of its own, so that it does not hold
up the others. Refused outcomes are sent again, for as long as a refusal may last.
"""

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import Sequence

from asynctasq.core.execution.attempt import CANCEL_PATIENCE, Attempt, State
from asynctasq.core.execution.cancellation import was_cancelled
from asynctasq.core.execution.outcomes import Outcomes
from asynctasq.core.worker.broker_health import BrokerHealth
from asynctasq.core.worker.held_back import HeldBack
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.drivers.base_driver import BaseDriver, Delivery
from asynctasq.errors import BrokerError, BrokerRejected

logger = logging.getLogger("asynctasq.worker")

BATCH = 1000
#: Seconds in which a fetch fails, too, when the broker is unavailable or refuses the worker.
NOTICE = 0.5
#: Seconds in which a delayed message that is due has arrived in its queue, on any broker.
GRACE = 2.0


class Settler:
    """Sends FINISHED records until they are answered or dropped.

    Args:
        outcomes: emits an event for each answered batch and each lost lease.
        health: records whether the broker accepts outcomes.
        refusal_limit: seconds for which a refused outcome is sent again.
    """

    def __init__(
        self,
        driver: BaseDriver,
        in_flight: InFlight,
        outcomes: Outcomes,
        health: BrokerHealth,
        *,
        refusal_limit: float,
    ) -> None:
        self._driver = driver
        self._in_flight = in_flight
        self._outcomes = outcomes
        self._health = health
        self._held_back = HeldBack(refusal_limit)
        self._runner: asyncio.Task[None] | None = None
        self._pause: asyncio.Event | None = None
        self._closed = False
        self._failing_since: float | None = None
        self._has_warned = False
        self._latest_due = 0.0
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        in_flight.on_finished = self._wake

    @property
    def awaits_retry(self) -> bool:
        """Whether a message that was settled with a delay is not due yet, or only just due."""
        return time.monotonic() < self._latest_due + GRACE

    async def flush(self) -> None:
        """Settles all FINISHED records, without a time limit."""
        while self._runner is not None:
            if self._runner.done():  # cancelled before its first step
                self._start()
            await asyncio.wait([self._runner])

    async def close(self, timeout: float) -> bool:
        """Settles all FINISHED records within `timeout` seconds; False if outcomes are lost."""
        try:
            async with asyncio.timeout(timeout):
                await self.flush()
        except TimeoutError:
            return False
        finally:
            self._closed = True
            if self._runner is not None:
                self._runner.cancel()
                # with a limit: a driver may ignore the cancellation
                await asyncio.wait([self._runner], timeout=CANCEL_PATIENCE)
        return True

    def _wake(self) -> None:
        if self._runner is None or self._runner.done():
            self._start()
        elif self._pause is not None:
            self._pause.set()

    def _start(self) -> None:
        if not self._closed:
            # in the worker's context, not in that of the attempt that ended; and not by the loop's
            # task factory: an eager task could end before `_runner` is set
            self._runner = asyncio.Task(self._run(), loop=self._loop, context=self._context.copy())

    async def _run(self) -> None:
        try:
            while self._in_flight.has_finished:
                batch = self._in_flight.send(BATCH, self._update_held_back())
                if batch:
                    await self._send(batch)
                else:
                    await self._wait(self._held_back.next_due)
            self._update_held_back()
        finally:
            # asyncio.run cancels every task at its end, this one too, while the worker's own
            # shutdown still waits for the remaining outcomes
            self._runner = None
            if self._in_flight.has_finished:
                self._start()

    def _update_held_back(self) -> HeldBack | None:
        if self._held_back:
            self._held_back.keep_only(self._in_flight.finished)
        if self._held_back:
            return self._held_back
        self._recovered()
        return None

    async def _wait(self, seconds: float) -> None:
        """Waits for `seconds`, or until there is another outcome."""
        self._pause = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._pause.wait()
        except TimeoutError:
            pass
        finally:
            self._pause = None

    async def _send(self, batch: Sequence[Attempt]) -> None:
        try:
            await self._settle(batch)
        finally:  # outcomes without an answer are sent again
            self._in_flight.unanswered([each for each in batch if each.state is State.SENT])

    async def _settle(self, batch: Sequence[Attempt]) -> None:
        error = await self._call(batch)
        if error is None:
            return
        parts = _by_queue(batch)
        if len(parts) > 1:
            for part in parts:
                await self._settle(part)
        elif isinstance(error, BrokerRejected):
            await self._settle_refused(batch, error)
        else:
            self._fail(batch, error)

    async def _settle_refused(self, batch: Sequence[Attempt], error: BaseException) -> None:
        """Finds the outcomes that are refused, and settles the others.

        A broker that refuses two single outcomes refuses its client; the others are not tried.
        """
        samples = random.sample(batch, min(2, len(batch)))
        is_single = len(batch) == 1  # `batch` itself was refused just now
        refused = [each for each in samples if is_single or await self._call([each]) is not None]
        remaining = [each for each in batch if each not in samples]
        if len(refused) == len(samples):
            self._refuse([*refused, *remaining], error)
            return
        self._refuse(refused, error)
        await self._settle_halves(remaining)

    async def _settle_halves(self, batch: Sequence[Attempt]) -> None:
        error = await self._call(batch) if batch else None
        if error is None:
            return
        if len(batch) == 1:
            self._refuse(batch, error)
            return
        half = len(batch) // 2
        await self._settle_halves(batch[:half])
        await self._settle_halves(batch[half:])

    async def _call(self, batch: Sequence[Attempt]) -> BaseException | None:
        """Settles a batch with one call; returns the error, or None."""
        settlements = [each.settlement for each in batch if each.settlement is not None]
        started = time.perf_counter()
        try:
            lost = await self._driver.settle(settlements)
        except (
            Exception,
            asyncio.CancelledError,
        ) as error:  # a driver's bug must not lose outcomes
            if was_cancelled(error):
                raise
            return error
        self._outcomes.settled(len(settlements), time.perf_counter() - started)
        self._answered(batch, lost)
        return None

    def _answered(self, batch: Sequence[Attempt], lost: Sequence[Delivery]) -> None:
        if self._held_back:
            self._held_back.answered(batch)
            if not self._held_back:
                self._recovered()
        latest = max(each.settlement.delay for each in batch if each.settlement is not None)
        if latest:
            self._latest_due = max(self._latest_due, time.monotonic() + latest)
        for attempt, delivery in self._in_flight.answered(batch, lost):
            self._report_late(attempt, delivery)

    def _recovered(self) -> None:
        """Records that no outcome is held back any more."""
        if self._failing_since is None:
            return
        self._failing_since = None
        self._health.answered("settler")
        if self._has_warned:
            self._has_warned = False
            logger.info("the broker accepts outcomes again")

    def _fail(self, batch: Sequence[Attempt], error: BaseException) -> None:
        self._held_back.fail(batch)
        self._mark_failing()
        if not isinstance(error, BrokerError):
            logger.error("settling failed, trying again", exc_info=error)
        else:
            queue = batch[0].delivery.queue
            self._warn("outcomes of queue %s wait for the broker: %s", queue, error)

    def _refuse(self, batch: Sequence[Attempt], error: BaseException) -> None:
        self._mark_failing()
        self._warn("the broker refuses outcomes, trying again: %s", error)
        for attempt in batch:
            if not self._held_back.refuse(attempt):
                logger.error(
                    "the outcome of %s (queue %s) was refused for too long; "
                    "its task will run again: %s",
                    attempt.delivery.id, attempt.delivery.queue, error,
                )  # fmt: skip
                self._in_flight.drop(attempt)

    def _mark_failing(self) -> None:
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        self._health.failed("settler")

    def _warn(self, text: str, *values: object) -> None:
        """Logs once that settling fails, if it does for a while and fetching does not."""
        since = self._failing_since
        lasts = since is not None and time.monotonic() - since > NOTICE
        if lasts and not self._has_warned and not self._health.fetches_fail:
            self._has_warned = True
            logger.warning(text, *values)

    def _report_late(self, attempt: Attempt, delivery: Delivery) -> None:
        if attempt.unsure:  # an earlier call without an answer may have stored it
            logger.info(
                "the outcome of %s (queue %s) was stored by an earlier call, or its lease was lost",
                delivery.id, delivery.queue,
            )  # fmt: skip
            return
        self._outcomes.lease_lost(delivery)
        logger.warning(
            "lease lost before the outcome of %s (queue %s) was stored; outcome discarded",
            delivery.id, delivery.queue,
        )  # fmt: skip


def _by_queue(batch: Sequence[Attempt]) -> list[list[Attempt]]:
    parts: dict[str, list[Attempt]] = {}
    for attempt in batch:
        parts.setdefault(attempt.delivery.queue, []).append(attempt)
    return list(parts.values())
