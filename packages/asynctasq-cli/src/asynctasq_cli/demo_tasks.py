"""The tasks of ``asynctasq demo``: one of each kind, some of which fail."""

import asyncio
import time
from dataclasses import dataclass

from asynctasq import AsyncTask, SyncTask, current_context, task


class Refused(Exception):
    """The service said no."""


@task(name="demo.send_email")
async def send_email(to: str) -> None:
    """Wait for a mail server."""
    await asyncio.sleep(0.02)


@task(name="demo.resize_image")
def resize_image(image_id: int) -> None:
    """Block a thread for a moment."""
    time.sleep(0.01)


@task(name="demo.count_primes", process=True)
def count_primes(limit: int) -> None:
    """Use a core of its own."""
    sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, limit))


@dataclass
class CallFlakyService(AsyncTask[None]):
    """Fails the first time, and is retried."""

    number: int

    name = "demo.call_flaky_service"
    max_attempts = 3
    retry_delay = 0.2
    retry_strategy = "fixed"

    async def execute(self) -> None:
        """Succeed at the second attempt."""
        if current_context().attempt == 1:
            raise Refused("busy, try again")


@dataclass
class ImportBrokenFile(SyncTask[None]):
    """Fails each time, and ends among the dead."""

    path: str

    name = "demo.import_broken_file"
    max_attempts = 2
    retry_delay = 0.2
    retry_strategy = "fixed"

    def execute(self) -> None:
        """Fail."""
        raise ValueError(f"{self.path} is no CSV file")
