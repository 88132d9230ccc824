"""Gauges for worker and queue state, collected at scrape time."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, wait

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from asynctasq.core.worker import Worker, WorkerStatus
from asynctasq.drivers.stored import QueueStats
from asynctasq.errors import BrokerError

logger = logging.getLogger("asynctasq.worker")

#: The shortest interval between two queries of the broker, in seconds.
EVERY = 5.0
#: Seconds a scrape waits for the broker before it shows the previous counts.
PATIENCE = 1.0
#: The time limit of a query, in seconds.
LIMIT = 10.0
#: The age in seconds at which counts are no longer shown.
STALE = 60.0


class Gauges(Collector):
    """Collects a running worker's state and the counts of its queues.

    It runs in the threads of scrapes, and queries the broker on the worker's event loop.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._backlog = Backlog(worker)

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not query the broker."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Return the current values."""
        status = self._worker.status()
        if status is not None:
            yield from _of_worker(status)
        yield from _of_queues(self._backlog.stats())

    def close(self) -> None:
        """Cancel a query that is under way."""
        self._backlog.close()


class Backlog:
    """The counts of the worker's queues, updated every `EVERY` seconds; safe in any thread."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._pending: Future[Sequence[QueueStats] | None] | None = None
        self._started_at = self._counted_at = -STALE
        self._stats: Sequence[QueueStats] = ()

    def stats(self) -> Sequence[QueueStats]:
        """Return the latest counts; empty if they are older than `STALE`."""
        with self._lock:
            now = time.monotonic()
            if self._pending is None and now >= self._started_at + EVERY:
                self._started_at = now
                self._pending = asyncio.run_coroutine_threadsafe(self._count(), self._loop)
            if self._pending is not None and wait([self._pending], timeout=PATIENCE).done:
                self._take(self._pending)
                self._pending = None
            return self._stats if time.monotonic() < self._counted_at + STALE else ()

    def close(self) -> None:
        """Cancel a query that is under way."""
        if self._pending is not None:
            self._pending.cancel()

    async def _count(self) -> Sequence[QueueStats] | None:
        try:
            async with asyncio.timeout(LIMIT):
                return await self._worker.backlog()
        except (BrokerError, TimeoutError):  # the worker logs it; here the counts grow old
            return None
        except Exception as error:  # noqa: BLE001 - the driver may just have been closed, and a scrape must not fail
            logger.debug("no counts: %r", error)
            return None

    def _take(self, answer: "Future[Sequence[QueueStats] | None]") -> None:
        if not answer.cancelled() and (stats := answer.result()) is not None:
            self._stats, self._counted_at = stats, time.monotonic()


def _of_worker(status: WorkerStatus) -> Iterator[Metric]:
    for name, text, value in (
        ("running", "Running tasks.", status.info.running),
        ("concurrency", "Tasks that may run at once.", status.info.concurrency),
        ("broker_up", "Whether the broker answers.", float(not status.broker_silence)),
    ):
        yield GaugeMetricFamily(f"asynctasq_worker_{name}", text, value=value)


def _of_queues(queues: Sequence[QueueStats]) -> Iterator[Metric]:
    messages = GaugeMetricFamily(
        "asynctasq_queue_messages",
        "Messages in a queue by state, for all workers.",
        labels=["queue", "state"],
    )
    oldest = GaugeMetricFamily(
        "asynctasq_queue_oldest_seconds", "Age of the oldest ready message.",
        labels=["queue"],
    )  # fmt: skip
    for stats in queues:
        for state in ("ready", "delayed", "running", "dead"):
            count: int | None = getattr(stats, state)
            if count is not None:
                messages.add_metric([stats.queue, state], count)
        if stats.oldest is not None:
            oldest.add_metric([stats.queue], stats.oldest)
    yield messages
    yield oldest
