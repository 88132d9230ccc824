"""An emitter that turns events into metrics."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from asynctasq.events.records import (
    AttemptCancelled,
    AttemptEvent,
    Event,
    LeaseLost,
    OutcomesSettled,
    TaskDied,
    TaskEnqueued,
    TaskFailed,
    TaskRetried,
    TaskStarted,
    TaskSucceeded,
)

#: Upper bounds in seconds.
DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400)
SETTLING = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
#: Upper bounds in outcomes; the settler's batches hold up to 1000.
BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

_OUTCOMES: dict[type[Event], str] = {
    TaskSucceeded: "succeeded",
    TaskRetried: "retried",
    TaskDied: "dead",
    AttemptCancelled: "cancelled",
}


class Metrics:
    """Counts and measures events. Pass it to `Worker` as an emitter, and expose its registry.

    Args:
        registry: the registry of its metrics; one registry takes one `Metrics`.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self._tasks = Counter(
            "asynctasq_tasks", "Attempts by their outcome.",
            ["task", "queue", "outcome"], registry=registry,
        )  # fmt: skip
        self._enqueued = Counter(
            "asynctasq_tasks_enqueued", "Calls that this process stored.",
            ["task", "queue"], registry=registry,
        )  # fmt: skip
        self._duration = Histogram(
            "asynctasq_task_duration_seconds", "How long attempts ran, failed ones included.",
            ["task", "queue"], buckets=DURATIONS, registry=registry,
        )  # fmt: skip
        self._latency = Histogram(
            "asynctasq_queue_latency_seconds", "From dispatch to the first start, delays included.",
            ["queue"], buckets=LATENCIES, registry=registry,
        )  # fmt: skip
        self._lost = Counter(
            "asynctasq_lease_losses", "Leases lost to other workers, or by a cancellation.",
            ["queue"], registry=registry,
        )  # fmt: skip
        self._batch = Histogram(
            "asynctasq_settle_batch_size", "Outcomes settled by one call.",
            buckets=BATCHES, registry=registry,
        )  # fmt: skip
        self._settling = Histogram(
            "asynctasq_settle_duration_seconds", "How long a call that settles outcomes took.",
            buckets=SETTLING, registry=registry,
        )  # fmt: skip

    async def emit(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, AttemptEvent):
            self._count_attempt(event)
        elif isinstance(event, TaskEnqueued):
            self._enqueued.labels(event.name, event.queue).inc()
        elif isinstance(event, OutcomesSettled):
            self._batch.observe(event.count)
            self._settling.observe(event.duration)
        elif isinstance(event, LeaseLost):
            self._lost.labels(event.queue).inc()

    def _count_attempt(self, event: AttemptEvent) -> None:
        if isinstance(event, TaskStarted):
            if event.attempt == 1 and event.enqueued_at:
                # the producer's clock may be ahead of ours
                self._latency.labels(event.queue).observe(max(0.0, event.time - event.enqueued_at))
            return
        if isinstance(event, (TaskSucceeded, TaskFailed)):
            self._duration.labels(event.name, event.queue).observe(event.duration)
        outcome = _OUTCOMES.get(type(event))
        if outcome is not None:
            self._tasks.labels(event.name, event.queue, outcome).inc()
