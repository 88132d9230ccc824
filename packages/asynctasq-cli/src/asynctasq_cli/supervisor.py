"""``--processes N``: supervises N worker processes, and ends when they have ended."""

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

from asynctasq_cli.lifeline import Lifeline, without_options

logger = logging.getLogger("asynctasq.supervisor")

#: Seconds a worker must live for its restart to be immediate.
HEALTHY = 5.0
#: Longest pause before a restart, in seconds.
LONGEST_PAUSE = 30.0
#: Seconds a worker has beyond its shutdown timeout before it is killed.
MARGIN = 15.0
TICK = 0.1
#: Options that differ from worker to worker.
OWN = ("--worker-id", "--metrics-port")


@dataclass(slots=True)
class Member:
    """A slot of the fleet, and its current process."""

    arguments: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    finished: bool = False


@dataclass(slots=True)
class Fleet:
    """The workers of one supervisor.

    Attributes:
        shutdown_timeout: seconds a worker takes to stop, at most.
        signals: received signals; forwarded between two polls of the processes, so that a process
            that is just being started does not miss one.
        code: the exit code so far.
    """

    members: Sequence[Member]
    shutdown_timeout: float
    signals: list[int] = field(default_factory=list[int])
    stopping: bool = False
    deadline: float = float("inf")
    code: int = 0

    def run(self, lifeline: Lifeline) -> int:
        """Restart ended workers until all have finished; returns an exit code."""
        while not self._is_over():
            self._start_missing(lifeline)
            time.sleep(TICK)
            self._forward_signals()
            self._reap()
            if time.monotonic() > self.deadline:
                logger.error("killing workers that did not stop in time")
                self._send(signal.SIGKILL)
                self.code, self.deadline = 1, float("inf")
        return self.code

    def _is_over(self) -> bool:
        return all(m.process is None and (m.finished or self.stopping) for m in self.members)

    def _start_missing(self, lifeline: Lifeline) -> None:
        now = time.monotonic()
        for member in self.members:
            due = member.process is None and not member.finished and now >= member.not_before
            if due and not self.stopping:
                member.process = lifeline.start(member.arguments)
                member.started = now

    def _forward_signals(self) -> None:
        while self.signals:
            self._stop(self.signals.pop(0))

    def _stop(self, number: int) -> None:
        if not self.stopping:
            self.stopping = True
            self.deadline = time.monotonic() + self.shutdown_timeout + MARGIN
        self._send(number)

    def _send(self, number: int) -> None:
        for member in self.members:
            if member.process is not None:
                member.process.send_signal(number)

    def _reap(self) -> None:
        for member in self.members:
            if member.process is None or (code := member.process.poll()) is None:
                continue
            member.process = None
            member.finished = code == 0 or self.stopping
            if not member.finished:
                _plan_restart(member, code)


def supervise(shutdown_timeout: float, each: Sequence[Sequence[str]]) -> int:
    """Run a worker for each item of `each` until stopped; returns an exit code.

    Args:
        each: the options of one worker; the others are taken from this process's command line.
    """
    words = without_options(sys.argv[1:], ("--processes", *OWN))
    fleet = Fleet([Member([*words, *own]) for own in each], shutdown_timeout)

    def record(number: int, _frame: FrameType | None) -> None:
        fleet.signals.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, record)
    lifeline = Lifeline()
    try:
        return fleet.run(lifeline)
    finally:
        lifeline.cut()


def _plan_restart(member: Member, code: int) -> None:
    lived = time.monotonic() - member.started
    member.failures = 0 if lived >= HEALTHY else member.failures + 1
    pause = min(LONGEST_PAUSE, 0.5 * 2**member.failures) if member.failures else 0.0
    member.not_before = time.monotonic() + pause
    logger.warning("a worker exited with code %s; restarting in %.1f s", code, pause)
