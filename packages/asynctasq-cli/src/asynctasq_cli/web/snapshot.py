"""Reads a snapshot of the broker: its queues and its workers."""

from collections.abc import Sequence
from dataclasses import dataclass

from asynctasq.drivers import BaseDriver, Control, Inspector, QueueStats, WorkerInfo, Workers
from asynctasq.errors import BrokerRejected


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The result of a poll.

    Attributes:
        queues: counts of each queue, including empty ones that are paused or served by a worker.
        paused: names of the paused queues.
        workers: live workers, each with the seconds since its last heartbeat.
        note: the reason why queues may be missing; empty if none are.
    """

    queues: Sequence[QueueStats]
    paused: frozenset[str]
    workers: Sequence[tuple[WorkerInfo, float]]
    note: str = ""


async def take_snapshot(driver: BaseDriver, only: Sequence[str], default_queue: str) -> Snapshot:
    """Read a snapshot, with as few calls as the driver's capabilities allow.

    Args:
        only: the only queues to read; all, if empty.
        default_queue: also read if the broker does not list its queues.
    """
    workers = await driver.workers() if isinstance(driver, Workers) else ()
    paused = frozenset(await driver.paused() if isinstance(driver, Control) else ())
    if not isinstance(driver, Inspector):
        return Snapshot((), paused, workers, "this driver cannot inspect its queues")
    if only:
        return Snapshot(await driver.counts(only), paused, workers)
    stats, note = await _list_queues(driver)
    others = paused.union(*(info.queues for info, _ in workers))
    if note:
        others |= {default_queue}
    missing = sorted(others - {counts.queue for counts in stats})
    stats += await driver.counts(missing) if missing else ()
    return Snapshot(sorted(stats, key=lambda counts: counts.queue), paused, workers, note)


async def _list_queues(inspector: Inspector) -> tuple[list[QueueStats], str]:
    """Return the queues the broker lists, or the reason why it does not."""
    try:
        return list(await inspector.queues()), ""
    except BrokerRejected as error:
        return [], f"{error}; name queues with --queue to see others"
