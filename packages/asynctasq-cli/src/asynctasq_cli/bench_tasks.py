"""The tasks of ``asynctasq bench``: a no-op, and one that records its delay."""

import asyncio
import time

from asynctasq import task

#: Seconds from the dispatch to the start of each `stamp` that ran in this process.
delays: asyncio.Queue[float] = asyncio.Queue()


@task(name="asynctasq.bench.noop")
async def noop() -> None:
    """Do nothing."""


@task(name="asynctasq.bench.stamp")
async def stamp(sent: float) -> None:
    """Record the time since it was sent, by this machine's monotonic clock."""
    delays.put_nowait(time.monotonic() - sent)
