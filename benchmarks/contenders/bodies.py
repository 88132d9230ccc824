"""What the tasks of all contenders do, as ``BENCHMARK_TASK`` says.

- ``noop``: nothing
- ``nap``: wait for 50 ms
- ``thread``: nothing, but in a function that is not asynchronous
- ``process``: the same, in another process, which cannot count it

`noop` is for queues that run both kinds of functions, `async_noop` and `sync_noop` are for those
that run one.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from tally import tally

TASK = os.environ.get("BENCHMARK_TASK", "noop")
#: Seconds.
NAP = 0.05


async def do_nothing() -> None:
    tally.hit()


async def nap() -> None:
    await asyncio.sleep(NAP)
    tally.hit()


def do_nothing_in_thread() -> None:
    tally.hit()


def nap_in_thread() -> None:
    time.sleep(NAP)
    tally.hit()


def do_nothing_in_process() -> None:
    pass


async def stamp(sent: float) -> None:
    tally.stamp(sent)
    if TASK == "nap":
        await asyncio.sleep(NAP)


def sync_stamp(sent: float) -> None:
    tally.stamp(sent)
    if TASK == "nap":
        time.sleep(NAP)


noop: Callable[[], Awaitable[None] | None] = {
    "noop": do_nothing,
    "nap": nap,
    "thread": do_nothing_in_thread,
    "process": do_nothing_in_process,
}[TASK]
async_noop: Callable[[], Awaitable[None]] = nap if TASK == "nap" else do_nothing
sync_noop: Callable[[], None] = nap_in_thread if TASK == "nap" else do_nothing_in_thread
