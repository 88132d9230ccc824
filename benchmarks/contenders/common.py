"""What every contender's script shares: ``script.py VERB COUNT``.

- ``prepare``: create the tables, for a queue that does not do so by itself
- ``enqueue``: store COUNT no-op tasks the fastest way the queue has
- ``each``: store COUNT tasks one by one
- ``concurrent``: the same by a hundred calls at once, where the queue has such a call
- ``work``: run COUNT of them in one worker
- ``share``: run them as one of several workers, and say how many whenever a line is read
- ``serve``: run a worker that is idle, until it has run the tasks of ``send``
- ``send``: dispatch COUNT tasks at intervals; each records how soon it was started

Each prints its figures as lines of JSON.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tally import WARM_UP, tally

URL = os.environ["BENCHMARK_URL"]
#: Of this measurement's queue; on a broker that others use as well, a fresh one.
NAME = os.environ["BENCHMARK_NAME"]
CONCURRENCY = int(os.environ.get("BENCHMARK_CONCURRENCY", "100"))
#: Seconds for a worker to be through with its start.
SETTLE = 1.5
#: Seconds between two tasks of ``send``.
PAUSE = float(os.environ.get("BENCHMARK_PAUSE", "0.015"))

Enqueue = Callable[[int], Awaitable[None]]
Moments = AsyncIterator[float]
Send = Callable[[Moments], Awaitable[None]]
Work = Callable[[], Awaitable[None]]
Prepare = Put = Callable[[], Awaitable[object]]


def main(
    enqueue: Enqueue,
    send: Send,
    work: Work,
    prepare: Prepare | None = None,
    put: Put | None = None,
) -> None:
    """Do what the command line says, on uvloop where it is installed.

    `put` stores one no-op task, for a queue whose `enqueue` does so with fewer calls than tasks.
    """
    logging.disable(logging.INFO)
    verb, expected = sys.argv[1], int(sys.argv[2])
    run = {
        "prepare": lambda: _prepare(prepare),
        "enqueue": lambda: _enqueue(enqueue, expected),
        "each": lambda: _each(send, expected),
        "concurrent": lambda: _concurrent(enqueue, put, expected),
        "send": lambda: _send(send, expected),
        "work": lambda: _work(work, expected),
        "share": lambda: _share(work),
        "serve": lambda: _serve(work, expected),
    }[verb]
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())
        sys.stdout.flush()
        os._exit(0)  # how long a queue takes to shut down is not measured


async def by_hundreds(count: int, put: Callable[[], Awaitable[object]]) -> None:
    """The fastest way of a queue that has no bulk call: a hundred calls at once."""
    for start in range(0, count, 100):
        await asyncio.gather(*(put() for _ in range(min(100, count - start))))


async def _prepare(prepare: Prepare | None) -> None:
    if prepare is not None:
        await prepare()
    _print(prepared=True)


async def _enqueue(enqueue: Enqueue, expected: int) -> None:
    started = time.perf_counter()
    await enqueue(expected)
    _print(seconds=time.perf_counter() - started)


async def _concurrent(enqueue: Enqueue, put: Put | None, expected: int) -> None:
    if put is None:  # its fastest way is this, or it has no calls at once
        await _enqueue(enqueue, expected)
        return
    await put()  # connects
    started = time.perf_counter()
    await by_hundreds(expected, put)
    _print(seconds=time.perf_counter() - started)


async def _each(send: Send, expected: int) -> None:
    """Times the calls after the first few, which connect."""
    started = 0.0

    async def moments() -> Moments:
        nonlocal started
        for number in range(WARM_UP + expected):
            if number == WARM_UP:
                started = time.perf_counter()
            yield time.monotonic()

    await send(moments())
    _print(seconds=time.perf_counter() - started)


async def _send(send: Send, expected: int) -> None:
    await send(_moments(expected))
    _print(sent=expected)


async def _moments(expected: int) -> Moments:
    """When each task of ``send`` is dispatched; what is late is made up for, but for connecting."""
    due = 0.0
    for number in range(expected):
        yield time.monotonic()
        due = PAUSE + (due if number >= WARM_UP else time.monotonic())
        await asyncio.sleep(due - time.monotonic())


async def _work(work: Work, expected: int) -> None:
    tally.start(expected)
    await _until_done(work)
    _print(seconds=tally.seconds, cpu=tally.cpu, memory=tally.memory())


async def _share(work: Work) -> None:
    """Starts at the first line; ends when there are no more."""
    # not in a thread: a child that is forked while that holds the lock of stdin never starts
    lines = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    _print(ready=True)
    await lines.readline()
    tally.start(-1)
    working = asyncio.create_task(_until_done(work))
    while await lines.readline():
        _print(hits=tally.look(), moment=time.monotonic())
        if working.done():
            working.result()


async def _serve(work: Work, expected: int) -> None:
    tally.start(expected)
    working = asyncio.create_task(_until_done(work))
    await asyncio.sleep(SETTLE)
    _print(ready=True)
    await working
    _print(delays=tally.delays[WARM_UP:])


async def _until_done(work: Work) -> None:
    working = asyncio.ensure_future(work())
    done = asyncio.ensure_future(tally.done.wait())
    await asyncio.wait([working, done], return_when=asyncio.FIRST_COMPLETED)
    if not done.done():
        working.result()
        raise RuntimeError("the worker ended before its work was done")


def _print(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
