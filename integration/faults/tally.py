"""Evaluates the log of tasks that record their start and end."""

import re
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asynctasq.drivers import BaseDriver, Limits
from integration.application import Application
from integration.faults.report import Row
from integration.faults.vitals import complaints


def runs(application: Application, word: str) -> Counter[int]:
    """How often each task wrote that word."""
    return Counter(
        int(line.split()[1]) for line in application.log().elements() if line.startswith(f"{word} ")
    )


def finish(
    application: Application,
    fault: str,
    tasks: int,
    *,
    dead: int = 0,
    recovery: float | None = None,
    raises: bool = False,
    exits: Sequence[int] = (0, -signal.SIGKILL),
) -> Row:
    """End the workers, and report the cost of the fault, as `Load.finish` does.

    Where tasks die, or raise something, their tracebacks are no complaints.
    """
    application.end(dead=dead, exits=exits)
    assert dead or raises or complaints(application.output()) == [], application.output()
    started, ended = runs(application, "start"), runs(application, "end")
    return Row(
        fault,
        application.settings["driver"],
        tasks=tasks,
        lost=tasks - len(ended) - dead,
        twice=started.total() - len(started),
        dead=dead,
        recovery=recovery,
    )


def limits(application: Application) -> Limits:
    """The limits that the application's driver declares."""

    async def ask(driver: BaseDriver) -> Limits:
        return driver.limits

    return application.ask(ask)


def members(application: Application) -> list[int]:
    """The process ids of all workers that have begun, those of a fleet included."""
    return [int(pid) for pid in re.findall(r"worker +\S+?-(\d+)-", application.output())]


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
