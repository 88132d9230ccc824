"""What every contender's script shares: ``script.py VERB COUNT``.

- ``enqueue``: store so many no-op tasks the fastest way the queue has
- ``work``: run so many of them in one worker
- ``serve``: run an idle worker, then the tasks of ``send``
- ``send``: dispatch so many tasks one by one, each of which says how soon it was started

Each prints its figures as lines of JSON.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

URL = os.environ["BENCHMARK_URL"]
CONCURRENCY = int(os.environ.get("BENCHMARK_CONCURRENCY", "100"))
#: Seconds for a worker to be through with its start.
SETTLE = 1.5
#: The first calls connect and import; they are left out.
WARM_UP = 20
PAUSE = 0.015

Enqueue = Callable[[int], Awaitable[None]]
Moments = AsyncIterator[float]
Send = Callable[[Moments], Awaitable[None]]
Work = Callable[[], Awaitable[None]]


class Tally:
    """Counts what was run; the no-op tasks call `hit`, those of ``send`` call `stamp`."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.seconds = self.cpu = 0.0
        self.delays: list[float] = []

    def start(self, expected: int) -> None:
        """Expect so many, and start the clock."""
        self._loop = asyncio.get_running_loop()
        self._expected = expected
        self._hits = count(1)  # counts in one step: some queues run tasks in threads
        self._started, self._processor = time.perf_counter(), time.process_time()

    def hit(self) -> None:
        """Count one; take the time at the last."""
        if next(self._hits) == self._expected:
            self.seconds = time.perf_counter() - self._started
            self.cpu = time.process_time() - self._processor
            self._loop.call_soon_threadsafe(self.done.set)

    def stamp(self, sent: float) -> None:
        """Note how long ago it was `sent`, by the clock all processes of the machine share."""
        self.delays.append(1000 * (time.monotonic() - sent))
        self.hit()


tally = Tally()


def main(enqueue: Enqueue, send: Send, work: Work) -> None:
    """Do what the command line says, on uvloop where it is installed."""
    logging.disable(logging.INFO)
    verb, expected = sys.argv[1], int(sys.argv[2])
    run = {
        "enqueue": lambda: _enqueue(enqueue, expected),
        "send": lambda: send(_moments(expected)),
        "work": lambda: _work(work, expected),
        "serve": lambda: _serve(work, expected),
    }[verb]
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())
        sys.stdout.flush()
        os._exit(0)  # how long a queue takes to shut down is not measured


async def _enqueue(enqueue: Enqueue, expected: int) -> None:
    started = time.perf_counter()
    await enqueue(expected)
    _print(seconds=time.perf_counter() - started)


async def _moments(expected: int) -> Moments:
    """When each task of ``send`` is dispatched."""
    for _ in range(expected):
        yield time.monotonic()
        await asyncio.sleep(PAUSE)


async def _work(work: Work, expected: int) -> None:
    tally.start(expected)
    await _until_done(work)
    _print(seconds=tally.seconds, cpu=tally.cpu)


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
