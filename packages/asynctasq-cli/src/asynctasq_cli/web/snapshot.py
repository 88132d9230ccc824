"""One look at the broker: its queues and its workers."""

from collections.abc import Sequence
from dataclasses import dataclass

from asynctasq.drivers import BaseDriver, Control, Inspector, QueueStats, WorkerInfo, Workers
from asynctasq.errors import BrokerRejected


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was seen.

    Attributes:
        queues: counts by name, those of paused queues that hold nothing among them.
        paused: names of the paused queues.
        workers: live workers, each with the seconds since it was heard.
        note: why there may be more queues than these; empty when there are not.
    """

    queues: Sequence[QueueStats]
    paused: frozenset[str]
    workers: Sequence[tuple[WorkerInfo, float]]
    note: str = ""


async def take_snapshot(driver: BaseDriver, only: Sequence[str], default_queue: str) -> Snapshot:
    """Look once, with as few calls as the broker's abilities need.

    Args:
        only: look at no other queues; at all, when empty.
        default_queue: where to look when the broker does not tell which queues there are.
    """
    workers = await driver.workers() if isinstance(driver, Workers) else ()
    paused = frozenset(await driver.paused() if isinstance(driver, Control) else ())
    if not isinstance(driver, Inspector):
        return Snapshot((), paused, workers, "this driver cannot look into its queues")
    if only:
        return Snapshot(await driver.counts(only), paused, workers)
    stats, note = await _told_queues(driver)
    others = paused.union(*(info.queues for info, _ in workers))
    if note:
        others |= {default_queue}
    missing = sorted(others - {one.queue for one in stats})
    stats += await driver.counts(missing) if missing else ()
    return Snapshot(sorted(stats, key=lambda one: one.queue), paused, workers, note)


async def _told_queues(looking: Inspector) -> tuple[list[QueueStats], str]:
    """The queues the broker tells of, and why it does not."""
    try:
        return list(await looking.queues()), ""
    except BrokerRejected as error:
        return [], f"{error}; name queues with --queue to see others"
