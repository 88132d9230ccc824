"""Work for the workers of a test, and its outcome."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from asynctasq.drivers import BaseDriver, Message
from asynctasq.serialization import Envelope, EnvelopeCodec, MsgpackSerializer
from asynctasq.testing.waiting import PATIENCE, until
from integration.application import Application
from integration.faults.report import Row
from integration.faults.vitals import Vitals, complaints, vitals

#: Python tells of what is not closed, too.
LOUD = ("-W", "always::ResourceWarning")


class Load:
    """Tasks that write down when they start and end.

    Args:
        application: whose workers run them.
        tasks: how many.
        seconds: each takes.
        delayed: how many of them, the last ones, become due later.
        delay: seconds after which these are due.
    """

    def __init__(
        self,
        application: Application,
        tasks: int,
        seconds: float = 0.05,
        *,
        delayed: int = 0,
        delay: float = 3.0,
    ) -> None:
        self.application = application
        self.tasks = 0
        self._recovery: float | None = None
        self._workers: dict[subprocess.Popen[str], Vitals] = {}
        self.add(tasks - delayed, seconds)
        self.add(delayed, seconds, delay)

    def add(self, tasks: int, seconds: float = 0.05, delay: float = 0.0) -> None:
        """Dispatch more of them."""
        numbers = range(self.tasks, self.tasks + tasks)
        enqueue(self.application, [_message(number, seconds, delay) for number in numbers])
        self.tasks += tasks

    @property
    def started(self) -> int:
        """Runs, each counted."""
        return self._lines("start")

    @property
    def ended(self) -> int:
        """Runs to their end, each counted."""
        return self._lines("end")

    @property
    def unfinished(self) -> set[int]:
        """Tasks that have not run to their end."""
        log = self.application.log()
        return {number for number in range(self.tasks) if not log[f"end {number}"]}

    def start_worker(self, *options: str) -> "subprocess.Popen[str]":
        """Start a worker that is watched: it has no more open at the end than before the fault.

        One that starts after a fault has nothing that this could be compared with.
        """
        worker = self.application.start(*LOUD, "-m", "asynctasq", "worker", *options)
        self._workers[worker] = Vitals()
        return worker

    def await_started(self, share: float) -> None:
        """Wait until that share of the tasks has started."""
        self._await(lambda: self.started >= share * self.tasks, f"{share:.0%} have started")

    def await_ended(self, share: float) -> None:
        """Wait until that share of the tasks has ended."""
        self._await(lambda: self.ended >= share * self.tasks, f"{share:.0%} have ended")

    def recovers(self, patience: float = PATIENCE) -> float:
        """Wait for the next finished task, and return the seconds; called when a fault is over.

        The longest of several counts.
        """
        before, over = self.ended, time.monotonic()
        until(lambda: self.ended > before or not self.unfinished, "work goes on", patience)
        took = time.monotonic() - over
        self._recovery = max(took, self._recovery or 0.0)
        return took

    def finish(self, fault: str, *, dead: int = 0, patience: float = PATIENCE) -> Row:
        """Wait until all tasks are done, end the workers, and report the cost of the fault.

        Nothing is left in the broker afterwards but `dead` dead messages, nothing in the watched
        workers that was not there before the fault, and no worker complains of its own code.
        """
        until(lambda: not self.unfinished, lambda: f"all ran: {self.unfinished}", patience)
        for worker, before in self._workers.items():
            if worker.poll() is None and before != Vitals():
                until(lambda w=worker, b=before: not _leaks(w, b), f"no more is open: {before}")
        self.application.end(dead=dead)
        assert complaints(self.application.output()) == [], self.application.output()
        return Row(
            fault,
            self.application.settings["driver"],
            tasks=self.tasks,
            lost=len(self.unfinished),
            twice=self.started - self.tasks,
            dead=dead,
            recovery=self._recovery,
        )

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            if self._recovery is None:  # after a fault it could be what leaked
                for worker, before in self._workers.items():
                    self._workers[worker] = before.peak(vitals(worker.pid))
            return condition()

        self.application.await_up()  # one that starts during a fault ends at once, as it should
        until(look, what)

    def _lines(self, word: str) -> int:
        return sum(n for line, n in self.application.log().items() if line.startswith(word))


def enqueue(application: Application, messages: Sequence[Message]) -> None:
    """Store messages, 100 in a call: the emulator of SQS takes seconds for them when it is busy."""

    async def store(driver: BaseDriver) -> None:
        for start in range(0, len(messages), 100):
            await driver.enqueue(messages[start : start + 100])

    application.ask(store)


def body(task: str, *, module: str = "tasks", **arguments: object) -> bytes:
    """The stored form of a call of a task in a module of the application."""
    return EnvelopeCodec(MsgpackSerializer()).encode(Envelope(f"{module}:{task}", (), arguments))


def _message(number: int, seconds: float, delay: float) -> Message:
    call = body("sleep", number=number, seconds=seconds)
    return Message(os.urandom(8).hex(), "default", call, delay)


def _leaks(worker: "subprocess.Popen[str]", before: Vitals) -> bool:
    return vitals(worker.pid).leaks_beyond(before)


#: Adds a row to the table of the run.
Report = Callable[[Row], None]
