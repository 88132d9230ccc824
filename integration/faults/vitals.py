"""A worker's sockets, threads and memory, read from the kernel, and lines it should not print."""

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

#: Words of Python about tasks, threads and connections that nobody ended, and about errors that
#: nobody took.
_COMPLAINT = re.compile(
    r"Task was destroyed|never retrieved|never awaited|ResourceWarning|Traceback|"
    r"Exception ignored|Unclosed|unclosed|Fatal Python error"
)

#: Connections that a driver first makes when it needs them, and threads that look names up: a
#: fault may be what makes them.
FEW_SOCKETS, FEW_THREADS = 4, 6


@dataclass(frozen=True, slots=True)
class Vitals:
    """The resources of a process at one moment.

    Attributes:
        sockets: that are open, connections and others.
        threads: all of them.
        memory: resident bytes.
    """

    sockets: int = 0
    threads: int = 0
    memory: int = 0

    def peak(self, other: "Vitals") -> "Vitals":
        """The larger figure of each."""
        return Vitals(
            max(self.sockets, other.sockets),
            max(self.threads, other.threads),
            max(self.memory, other.memory),
        )

    def leaks_beyond(self, before: "Vitals") -> bool:
        """Whether there are more than a few sockets or threads that were not there before.

        A driver that leaks at every fault is found by several faults. Memory is another matter.
        """
        sockets, threads = before.sockets + FEW_SOCKETS, before.threads + FEW_THREADS
        return self.sockets > sockets or self.threads > threads


def vitals(pid: int) -> Vitals:
    """The resources of a process now; all zero if it has ended, or without ``/proc``."""
    place = Path(f"/proc/{pid}")
    try:
        status = (place / "status").read_text()
        links = [_target(one) for one in (place / "fd").iterdir()]
    except OSError:
        return Vitals()
    sockets = sum(link.startswith("socket:") for link in links)
    return Vitals(sockets, _figure(status, "Threads"), _figure(status, "VmRSS") * 1024)


def complaints(output: str) -> list[str]:
    """Lines of a worker's output that report leftovers, or an error in the code.

    The log line of a dead task is followed by that task's traceback, which is none: at once, or
    after the error itself where it was raised in another process.
    """
    lines = ["", "", *output.splitlines()]
    return [
        line
        for (first, second), line in zip(itertools.pairwise(lines), lines[2:], strict=False)
        if _COMPLAINT.search(line)
        and not (line.startswith("Traceback") and " is dead: " in f"{first}{second}")
    ]


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # closed since
        return ""


def _figure(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+)", status, re.MULTILINE)
    return int(found[1]) if found else 0
