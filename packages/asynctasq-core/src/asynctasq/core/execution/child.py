"""One child process of a worker: its start, its jobs, and its end."""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from multiprocessing.util import Finalize

from asynctasq.core.execution.channel import END, Broken, ParentEnd, new_mark
from asynctasq.core.execution.process_child import Perform, Reply, Setup, main

logger = logging.getLogger("asynctasq.worker")

#: Seconds for a child to exit by itself, after the END frame.
END_PATIENCE = 10.0
#: Seconds for the system to end a process that was killed.
KILL_PATIENCE = 5.0
#: Seconds between the moment a dying process closes its descriptors and its death.
LAST_MOMENT = 1.0

# fork would copy the event loop, and locks that other threads hold
_spawn = multiprocessing.get_context("spawn")


class ChildDied(Exception):
    """The process ended before its answer; the text is a predicate: "died (exit code 1)"."""


class Child:
    """A process, and the worker's end of the channel to it.

    Methods that block return when the process is dead, or was killed by `kill`.

    Attributes:
        jobs: the number of jobs so far.
        spent: whether the process must not get another job.
    """

    def __init__(self, name: str, perform: Perform, setup: Setup, *, nice: int = 0) -> None:
        ours, self._theirs = socket.socketpair()
        self._ready = new_mark(0)
        self._channel = ParentEnd(ours, self._lives)
        self._process = _spawn.Process(
            target=main, args=(self._theirs, self._ready, setup, perform), name=name, daemon=True
        )
        self._nice = nice
        self._started = self._killed = False
        self.jobs = 0
        self.spent = False

    def start(self) -> None:
        """Starts the process, and waits until it is ready; blocks. Raises `ChildDied`."""
        try:
            self._process.start()
        finally:
            self._theirs.close()
        self._be_nice()  # now, so that it applies to its first imports
        # an interpreter that exits with the pool open would wait for the child
        self._at_exit = Finalize(self, self._process.kill, exitpriority=0)
        self._started = True
        if self._killed:  # while it was being started
            self._process.kill()
        self.receive(self._ready)

    def ask(self, mark: bytes, job: object) -> object:
        """Sends a job, and waits for the first message about it; blocks. Raises `ChildDied`."""
        self.jobs += 1
        try:
            self._channel.send(mark, job)
        except (EOFError, OSError):
            raise self._dead() from None
        return self.receive(mark)

    def receive(self, mark: bytes) -> object:
        """Returns the next message about a job; blocks. Raises `ChildDied`."""
        try:
            reply = self._channel.receive(mark)
        except (EOFError, OSError):
            raise self._dead() from None
        except Broken:
            reply = None
        if not isinstance(reply, Reply):
            self.reap()
            raise ChildDied("was killed: it sent bytes that are no answer to its job")
        self.spent |= reply.spent
        return reply.message

    def is_usable(self) -> bool:
        """Whether it is alive, with nothing unread in its channel."""
        return self._lives() and self._channel.is_silent()

    def kill(self) -> None:
        """Kills it; returns at once."""
        self._killed = True
        if self._started:
            self._process.kill()

    def end(self) -> None:
        """Lets it exit by itself, or kills it after `END_PATIENCE`; blocks."""
        try:
            self._channel.send(END, None)
        except (EOFError, OSError):
            pass
        else:
            self._wait(END_PATIENCE)
        self.reap()

    def reap(self) -> None:
        """Kills it, and waits until it is dead; blocks."""
        self.kill()
        self._channel.close()
        if not self._started:
            return
        if not self._wait(KILL_PATIENCE):
            logger.warning("process %s was killed, but has not ended", self._process.pid)
        self._at_exit.cancel()

    def _be_nice(self) -> None:
        pid = self._process.pid
        if self._nice and pid is not None and sys.platform != "win32":
            with suppress(OSError):  # it ended already
                nice = os.getpriority(os.PRIO_PROCESS, 0) + self._nice
                os.setpriority(os.PRIO_PROCESS, pid, nice)

    def _wait(self, limit: float) -> bool:
        """Waits for its end. (`Process.join` relies on a descriptor that tasks can write to.)"""
        deadline, pause = time.monotonic() + limit, 0.001
        while self._process.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        return True

    def _lives(self) -> bool:
        return self._started and not self._killed and self._process.is_alive()

    def _dead(self) -> ChildDied:
        """Returns the error for its end; kills a process that closed its channel and is alive."""
        if not self._wait(LAST_MOMENT):
            self.reap()
            return ChildDied("was killed: it closed its channel to the worker")
        code = self._process.exitcode
        self.reap()
        return ChildDied(f"died (exit code {code}){_name_of(code)}")


def _name_of(code: int | None) -> str:
    if code is None or code >= 0:
        return ""
    try:
        return f": {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return ""
