"""What every contender's script shares: ``script.py enqueue N`` and ``script.py work N``.

Each prints one JSON line with the seconds it took and the processor time of its process.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable


class Clock:
    """Seconds and processor seconds from when it is made until `stop`."""

    def __init__(self) -> None:
        self._started, self._processor = time.perf_counter(), time.process_time()
        self.seconds = self.cpu = 0.0

    def stop(self) -> None:
        """Take the time."""
        self.seconds = time.perf_counter() - self._started
        self.cpu = time.process_time() - self._processor


class Countdown:
    """Set when the last task has run; `hit` is what the no-op tasks call."""

    def __init__(self) -> None:
        self.left = 0
        self.done = asyncio.Event()
        self.clock = Clock()

    def start(self, count: int) -> None:
        """Expect so many tasks, and start the clock."""
        self.left = count
        self.clock = Clock()

    def hit(self) -> None:
        """Count one task."""
        self.left -= 1
        if self.left == 0:
            self.clock.stop()
            self.done.set()


def main(
    enqueue: Callable[[int], Awaitable[None]], work: Callable[[int], Awaitable[Clock]]
) -> None:
    """Do what the command line says, and print how long it took."""
    verb, count = sys.argv[1], int(sys.argv[2])

    async def run() -> None:
        clock = Clock()
        if verb == "enqueue":
            await enqueue(count)
            clock.stop()
        else:
            clock = await work(count)
        print(json.dumps({"seconds": clock.seconds, "cpu": clock.cpu}))

    asyncio.run(run())
