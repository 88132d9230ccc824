"""Counts the tasks that a worker ran, and what they cost it."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

#: The first calls connect and import; their delays are left out.
WARM_UP = 20
PAGE = os.sysconf("SC_PAGE_SIZE")


class Tally:
    """The no-op tasks call `hit`, those of ``send`` call `stamp`.

    Attributes:
        children: the processes of the worker besides its first, for a queue that has some.
        seconds, cpu: from `start` to the last task: by the clock, and of the worker's processors.
        delays: from sending to starting each stamped task, in milliseconds.
    """

    def __init__(self) -> None:
        self.children: Callable[[], Iterable[int]] = tuple
        self.done = asyncio.Event()
        self.seconds = self.cpu = 0.0
        self.delays: list[float] = []

    def start(self, expected: int) -> None:
        """Expect a number of tasks, and start the clock."""
        self._loop = asyncio.get_running_loop()
        self._expected = expected
        self._hits = count(1)  # counts in one step: some queues run tasks in threads
        self._looks = 0
        self._started, self._processor = time.perf_counter(), self._clock()

    def hit(self) -> None:
        """Count one; take the time at the last."""
        if next(self._hits) == self._expected:
            self.seconds = time.perf_counter() - self._started
            self.cpu = self._clock() - self._processor
            self._loop.call_soon_threadsafe(self.done.set)

    def stamp(self, sent: float) -> None:
        """Note how long ago it was `sent`, by the clock all processes of the machine share."""
        self.delays.append(1000 * (time.monotonic() - sent))
        self.hit()

    def look(self) -> int:
        """How many were counted; a look takes a number itself, so `start` must expect none."""
        self._looks += 1
        return next(self._hits) - self._looks

    def memory(self) -> float:
        """What the worker's processes hold now, in bytes; shared pages count in each."""
        processes = [os.getpid(), *self.children()]
        return sum(PAGE * int(_proc(one, "statm").split()[1]) for one in processes)

    def _clock(self) -> float:
        # Linux makes a process's clock from its id.
        return time.process_time() + sum(
            time.clock_gettime((~one << 3) | 2) for one in self.children()
        )


def _proc(process: int, name: str) -> str:
    return Path(f"/proc/{process}/{name}").read_text()


tally = Tally()
