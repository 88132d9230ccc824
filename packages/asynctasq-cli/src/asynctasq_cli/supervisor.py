"""``--processes N``: one process watches over N workers.

Each worker holds the reading end of a pipe whose writing end only the supervisor has: when the
supervisor dies, however it dies, the pipe closes and its workers stop in order.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

logger = logging.getLogger("asynctasq.supervisor")

PIPE_VARIABLE = "ASYNCTASQ_SUPERVISOR_PIPE"
#: Seconds a worker must live for its restart to be immediate.
HEALTHY = 5.0
#: Longest pause before a restart, in seconds.
LONGEST_PAUSE = 30.0
#: Seconds that a worker has beyond its shutdown timeout.
MARGIN = 15.0
TICK = 0.1


@dataclass(slots=True)
class Member:
    """One place in the fleet, and the process that fills it."""

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    finished: bool = False


@dataclass(slots=True)
class Fleet:
    """The workers of one supervisor."""

    command: Sequence[str]
    members: list[Member]
    pipe: int
    stopping: bool = False
    deadline: float = field(default=float("inf"))

    def start_missing(self) -> None:
        """Start a process in every place that is due for one."""
        now = time.monotonic()
        for member in self.members:
            due = member.process is None and not member.finished and now >= member.not_before
            if due and not self.stopping:
                member.process = self._spawn()
                member.started = now

    def reap(self) -> None:
        """Take note of processes that ended."""
        for member in self.members:
            if member.process is None or (code := member.process.poll()) is None:
                continue
            member.process = None
            member.finished = code == 0 or self.stopping
            if not member.finished:
                self._plan_restart(member, code)

    def is_over(self) -> bool:
        """Whether no process is left, and none is to come."""
        return all(m.process is None and (m.finished or self.stopping) for m in self.members)

    def signal(self, number: int) -> None:
        """Send a signal to all processes."""
        for member in self.members:
            if member.process is not None:
                member.process.send_signal(number)

    def _spawn(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, PIPE_VARIABLE: str(self.pipe)}
        # a session of its own, so that Ctrl+C reaches it once, through us
        return subprocess.Popen(
            self.command, env=environment, pass_fds=[self.pipe], start_new_session=True
        )

    def _plan_restart(self, member: Member, code: int) -> None:
        lived = time.monotonic() - member.started
        member.failures = 0 if lived >= HEALTHY else member.failures + 1
        pause = min(LONGEST_PAUSE, 0.5 * 2**member.failures) if member.failures else 0.0
        member.not_before = time.monotonic() + pause
        logger.warning("a worker ended with code %s; another starts in %.1f s", code, pause)


def supervise(count: int, shutdown_timeout: float) -> int:
    """Run `count` workers with this command line until stopped; returns an exit code."""
    reading, writing = os.pipe()
    fleet = Fleet(_worker_command(), [Member() for _ in range(count)], reading)

    def stop(number: int, _frame: FrameType | None) -> None:
        fleet.stopping = True
        fleet.deadline = min(fleet.deadline, time.monotonic() + shutdown_timeout + MARGIN)
        fleet.signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        while not fleet.is_over():
            fleet.start_missing()
            time.sleep(TICK)
            fleet.reap()
            if time.monotonic() > fleet.deadline:
                logger.error("killing workers that did not end in time")
                fleet.signal(signal.SIGKILL)
                fleet.deadline = float("inf")
    finally:
        os.close(writing)
    return 0


def exit_with_supervisor() -> None:
    """In a worker that has a supervisor: stop in order when the supervisor is gone."""
    descriptor = os.environ.pop(PIPE_VARIABLE, None)
    if descriptor is None:
        return

    def watch() -> None:
        os.read(int(descriptor), 1)  # returns when the writing end closes
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="asynctasq-supervisor", daemon=True).start()


def _worker_command() -> list[str]:
    """This command line, for one process, with a name for each made by itself."""
    words = iter(sys.argv[1:])
    kept: list[str] = []
    for word in words:
        if word in ("--processes", "--worker-id"):
            next(words, None)
        elif not word.startswith(("--processes=", "--worker-id=")):
            kept.append(word)
    return [sys.executable, "-m", "asynctasq", *kept]
