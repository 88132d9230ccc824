"""The quarantine: examines messages that may have killed their workers, in child processes."""

import enum
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from asynctasq.core.execution.child import ChildDied
from asynctasq.core.execution.children import Children, Session, TooLong
from asynctasq.core.execution.error_format import one_line
from asynctasq.core.execution.failure import Failure
from asynctasq.core.execution.process_child import Setup
from asynctasq.core.execution.quarantine_child import (
    Found,
    Question,
    Started,
    Step,
    Suspect,
    Unreadable,
    examine,
)
from asynctasq.core.execution.retry import workers_died
from asynctasq.errors import TaskError, TaskTimeout, WorkerDied
from asynctasq.tasks.registry import TaskRegistry, registry

__all__ = ["Kind", "Quarantine", "Stage", "Started", "Suspect", "Verdict"]

logger = logging.getLogger("asynctasq.worker")

#: Seconds for a child to read a message and to import its task.
READING_LIMIT = 60.0
#: Seconds after which an idle child is ended.
IDLE_SECONDS = 30.0
#: Added to the niceness of children that are started frequently, because suspects kill them, so
#: that they take little processor time from the workers.
NICE = 12


class Kind(enum.Enum):
    """The outcome of an examination."""

    READABLE = "readable"  #: more attempts are allowed; the task did not run
    EXHAUSTED = "exhausted"  #: no attempt was left; the hook was called
    DONE = "done"
    FAILED = "failed"  #: the last attempt failed, or timed out; the hook was called
    UNREADABLE = "unreadable"
    KILLED = "killed"  #: the process died; if it ran the task, another process called the hook


class Stage(enum.Enum):
    """The step at which a process died."""

    READING = "reading"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of an examination, with its details.

    Attributes:
        started: the facts of the call; None if it could not be read.
        error: the reason, for every kind but READABLE and DONE.
        stage: for KILLED, the step at which the process died.
    """

    kind: Kind
    started: Started | None = None
    error: BaseException | None = None
    stage: Stage | None = None


class Quarantine:
    """Examines suspects in at most `size` child processes, one suspect at a time in each.

    A child is reused, and ended after `IDLE_SECONDS` without a suspect.

    Args:
        size: if None, the number of cores, but at least two, so that one long task does not hold
            up the other suspects.
        registry: the worker's tasks; children may import the modules that define them.
    """

    def __init__(
        self, size: int | None, setup: Setup, *, registry: TaskRegistry = registry
    ) -> None:
        self.size = size or max(2, os.cpu_count() or 1)
        self._children = Children(
            "asynctasq-quarantine", self.size, setup, examine, idle_limit=IDLE_SECONDS, nice=NICE
        )
        self._registry = registry

    async def examine(self, suspect: Suspect, started: Callable[[Started], None]) -> Verdict:
        """Reads a suspect in a child, which also runs it if this is its last attempt.

        When this is cancelled, the child is killed; other suspects are not affected.

        Args:
            started: called on the event loop before the task runs.

        Raises:
            WorkerDied: no process could be started; the suspect was not read.
            TaskError: the quarantine was closed.
        """
        case = _Case(suspect, started)
        verdict = await self._follow(case, Question(suspect, self._origins()))
        if case.owes_hook:
            await self._call_hook(suspect, verdict)
        return verdict

    async def close(self) -> None:
        """Kills all processes."""
        await self._children.close()

    async def _follow(self, case: "_Case", question: Question) -> Verdict:
        try:
            async with self._children.session() as session:
                return await case.follow(session, question)
        except (ChildDied, TooLong) as end:
            if self._children.closed:
                raise TaskError("the quarantine was closed") from None
            return case.cut_short(end)

    async def _call_hook(self, suspect: Suspect, verdict: Verdict) -> None:
        """Calls the hook of a call whose own process is dead."""
        assert verdict.error is not None
        question = Question(suspect, self._origins(), Failure.of(verdict.error))
        try:
            await self._follow(_Case(suspect, lambda _: None, verdict), question)
        except WorkerDied as error:
            _log_hook(verdict, one_line(error))

    def _origins(self) -> Mapping[str, str]:
        return {
            name: definition.origin
            for definition in self._registry
            for name in (definition.name, *definition.aliases)
        }


class _Case:
    """The examination of one suspect.

    Attributes:
        owes_hook: the call is given up, and its hook is still to be called.
    """

    def __init__(
        self,
        suspect: Suspect,
        started: Callable[[Started], None],
        verdict: Verdict | None = None,
    ) -> None:
        self._suspect = suspect
        self._on_started = started
        self._found: Found | None = None
        self._verdict = verdict
        self.owes_hook = False

    async def follow(self, session: Session, question: Question) -> Verdict:
        """Sends the question to a child, and derives a verdict from its messages."""
        first: Found | Unreadable = await session.ask(question, READING_LIMIT)
        if isinstance(first, Unreadable):
            return self._verdict or Verdict(
                Kind.UNREADABLE, error=first.failure.exception(imports=False)
            )
        started = first.started
        if first.step is Step.LEAVE:
            return Verdict(Kind.READABLE, started)
        self._found = first
        if first.step is Step.RUN:
            self._on_started(started)
            failure: Failure | None = await session.receive(started.timeout)
            if failure is None:
                return Verdict(Kind.DONE, started)
            self._verdict = Verdict(Kind.FAILED, started, failure.exception(imports=False))
        elif self._verdict is None:
            error = workers_died(self._suspect.attempt, started.max_attempts)
            self._verdict = Verdict(Kind.EXHAUSTED, started, error)
        await self._await_hook(session, self._verdict, started.timeout)
        return self._verdict

    def cut_short(self, end: ChildDied | TooLong) -> Verdict:
        """Returns the verdict when the process is dead."""
        if self._verdict is not None:  # it died in the hook
            _log_hook(self._verdict, "it took too long" if isinstance(end, TooLong) else str(end))
            return self._verdict
        if self._found is None:
            return Verdict(Kind.KILLED, error=_killed_reading(end), stage=Stage.READING)
        self.owes_hook = self._found.has_hook
        started = self._found.started
        if isinstance(end, TooLong):
            text = f"longer than {started.timeout:g} s; its process was killed"
            return Verdict(Kind.FAILED, started, TaskTimeout(text))
        error = WorkerDied(f"the process that ran the task {end}")
        return Verdict(Kind.KILLED, started, error, Stage.RUNNING)

    async def _await_hook(self, session: Session, verdict: Verdict, limit: float | None) -> None:
        failure: Failure | None = await session.receive(limit)
        if failure is not None:
            _log_hook(verdict, f"{failure.line}\n{failure.traceback}")


def _killed_reading(end: ChildDied | TooLong) -> WorkerDied:
    if isinstance(end, TooLong):
        end = ChildDied(f"was killed: it had not read it after {READING_LIMIT:g} s")
    return WorkerDied(f"the process that read the message {end}")


def _log_hook(verdict: Verdict, text: str) -> None:
    name = verdict.started.name if verdict.started else "(unreadable)"
    logger.error("%s: failed() failed: %s", name, text)
