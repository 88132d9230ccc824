"""Tasks and messages that kill the process that runs or reads them, for applications of tests."""

import os
from collections.abc import Sequence

from asynctasq.drivers import BaseDriver, Message
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import body, enqueue

#: Appended to ``tasks.py``.
TASKS = """

def die(number):
    log(f"start {number}")
    log(f"killed {os.getpid()}")
    os.kill(os.getpid(), 9)


@task
async def kill_on_loop(number: int):
    die(number)


@task
def kill_in_thread(number: int):
    die(number)


@task(process=True, retry_delay=0.1)
def kill_in_process(number: int):
    die(number)
"""

#: Modules that kill the process which imports them, by name; each writes down which that is.
MODULES = {
    "kills_on_import": "os.kill(os.getpid(), 9)",
    "segfaults_on_import": "ctypes.string_at(0)",
}
_MODULE = """
import ctypes, os
from pathlib import Path

with Path(__file__).with_name("log.txt").open("a") as file:
    file.write(f"killed {{os.getpid()}}\\n")
{end}
"""


def add_poison(application: Application) -> None:
    """Add the tasks and modules to an application."""
    with (application.directory / "tasks.py").open("a") as file:
        file.write(TASKS)
    for name, end in MODULES.items():
        (application.directory / f"{name}.py").write_text(_MODULE.format(end=end))


def killers(count: int) -> list[bytes]:
    """Calls of a task that kills its process."""
    return [body("kill_on_loop", number=number) for number in range(count)]


def abandon(application: Application, queue: str, bodies: Sequence[bytes]) -> None:
    """Enqueue messages, and let each have an attempt that ends without an outcome."""
    enqueue(application, [Message(os.urandom(8).hex(), queue, one) for one in bodies])
    application.ask(lambda driver: _take(driver, queue, len(bodies)))
    until(lambda: application.stats(queue).ready == len(bodies), "all leases have run out")


async def _take(driver: BaseDriver, queue: str, count: int) -> None:
    taken: set[str] = set()
    while len(taken) < count:
        more = await driver.dequeue([queue], limit=count - len(taken), lease=10, wait=10)
        assert more, f"{count - len(taken)} are missing"
        assert all(one.attempt == 1 for one in more)
        taken |= {one.id for one in more}
