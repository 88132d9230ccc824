"""What every contender's script shares: ``script.py enqueue N`` and ``script.py work N``.

Each prints one JSON line with the seconds it took and the processor time of its process.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable


class Countdown:
    """Set when the last task has run; `hit` is what the no-op tasks call."""

    def __init__(self) -> None:
        self.left = 0
        self.done = asyncio.Event()

    def hit(self) -> None:
        """Count one task."""
        self.left -= 1
        if self.left == 0:
            self.done.set()


def main(enqueue: Callable[[int], Awaitable[None]], work: Callable[[int], Awaitable[None]]) -> None:
    """Do what the command line says, and print how long it took."""
    name, count = sys.argv[1], int(sys.argv[2])
    chosen = {"enqueue": enqueue, "work": work}[name]

    async def run() -> None:
        started, processor = time.perf_counter(), time.process_time()
        await chosen(count)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "cpu": time.process_time() - processor}))

    asyncio.run(run())
