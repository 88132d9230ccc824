"""The tasks of ``asynctasq demo``: one of each kind, some of which fail.

Each task appends a line to a file when its work is done; the demo checks the lines.
"""

import asyncio
import os
import time
from dataclasses import dataclass

from asynctasq import AsyncTask, SyncTask, current_context, task


class Refused(Exception):
    """The service refused the call."""


def leave_mark(path: str, mark: str) -> None:
    """Append a line with one write, so that lines of several processes do not mix."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{mark}\n".encode())
    finally:
        os.close(file)


@task(name="demo.send_email")
async def send_email(number: int, marks: str) -> None:
    """Wait for a mail server."""
    await asyncio.sleep(0.02)
    leave_mark(marks, f"email {number}")


@task(name="demo.resize_image")
def resize_image(number: int, marks: str) -> None:
    """Block a thread for a moment."""
    time.sleep(0.01)
    leave_mark(marks, f"image {number}")


@task(name="demo.count_primes", process=True)
def count_primes(number: int, marks: str) -> None:
    """Keep a core busy, in a process of the pool."""
    sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, 20_000))
    leave_mark(marks, f"primes {number}")


@dataclass
class CallFlakyService(AsyncTask[None]):
    """Fails at the first attempt, and is retried."""

    number: int
    marks: str

    name = "demo.call_flaky_service"
    max_attempts = 3
    retry_delay = 0.2
    retry_strategy = "fixed"

    async def execute(self) -> None:
        """Succeed at the second attempt."""
        if current_context().attempt == 1:
            raise Refused("busy, try again")
        leave_mark(self.marks, f"service {self.number}")


@dataclass
class ImportBrokenFile(SyncTask[None]):
    """Fails at every attempt, and becomes a dead message."""

    number: int
    marks: str

    name = "demo.import_broken_file"
    max_attempts = 2
    retry_delay = 0.2
    retry_strategy = "fixed"

    def execute(self) -> None:
        """Fail."""
        raise ValueError(f"{self.number}.csv is no CSV file")
