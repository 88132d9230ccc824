"""The code of a quarantine process: reads a message, and runs its task, or the task's hook."""

import asyncio
import enum
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from asynctasq.core.execution.failure import Failure
from asynctasq.core.execution.process_child import Host, find, traced
from asynctasq.core.execution.retry import attempts_for, workers_died
from asynctasq.core.execution.tracing import Headers
from asynctasq.errors import TaskCancelled
from asynctasq.tasks.class_task import BaseTask
from asynctasq.tasks.context import TaskContext, running_task
from asynctasq.tasks.definition import Runnable, TaskDefinition


@dataclass(frozen=True, slots=True)
class Suspect:
    """A message whose attempt before ended without an outcome, and its delivery.

    Attributes:
        grace: deliveries beyond the allowed attempts at which it may run once, as it may never have
            begun; but not where one attempt is allowed.
        trace: leads to the span it is a part of; if empty, the headers of the message do.
    """

    body: bytes
    id: str
    queue: str
    attempt: int
    worker_id: str
    grace: int = 0
    trace: Headers = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Started:
    """The facts about a call that its worker needs.

    Attributes:
        timeout: seconds the attempt may take.
    """

    name: str
    max_attempts: int
    timeout: float | None
    correlation_id: str | None
    enqueued_at: float


class Step(enum.Enum):
    """The step that follows reading."""

    LEAVE = "leave"
    RUN = "run"
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True)
class Question:
    """A job of the quarantine.

    Attributes:
        origins: `TaskDefinition.origin` of the worker's tasks, by name.
        error: the call is given up with this error, and not run.
    """

    suspect: Suspect
    origins: Mapping[str, str]
    error: Failure | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The first message about a readable suspect.

    Attributes:
        has_hook: its task overrides `failed`.
    """

    started: Started
    step: Step
    has_hook: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The only message about an unreadable suspect."""

    failure: Failure


def examine(host: Host, question: Question) -> Found | Unreadable | Failure | None:
    """Read a suspect, then run its last attempt, or give it up if there were more.

    Messages, the last of which is returned: `Unreadable`; or `Found`, then after a run its failure
    or None, then after giving up the failure of the hook or None.
    """
    _offer_to_the_oom_killer()
    case = _Case(host, question)
    error = host.attempt(case.read)
    if error is not None:
        return Unreadable(Failure.of(error))
    if case.found.step is Step.LEAVE:
        return case.found
    host.send(case.found)
    running_task.set(case.context)
    with traced(question.suspect.trace or case.envelope.headers):
        if case.found.step is Step.GIVE_UP:
            return case.give_up(case.reason())
        error = host.attempt(case.run)
        if error is None:
            return None
        host.send(Failure.of(error := _as_failure(error)))
        return case.give_up(error)


class _Case:
    """The examination of one suspect."""

    def __init__(self, host: Host, question: Question) -> None:
        self._host = host
        self._question = question
        self._runnable: Runnable | None = None

    def read(self) -> None:
        """Decode the message, and import its task."""
        self.envelope = envelope = self._host.read(self._question.suspect.body)
        self._definition = definition = find(envelope.task, self._question.origins)
        config = self._host.setup.config
        self.found = Found(
            Started(
                name=envelope.task,
                max_attempts=attempts_for(definition.options, envelope, config),
                timeout=envelope.timeout or definition.options.timeout or config.default_timeout,
                correlation_id=envelope.correlation_id,
                enqueued_at=envelope.enqueued_at,
            ),
            self._step(attempts_for(definition.options, envelope, config)),
            _has_hook(definition),
        )

    def _step(self, max_attempts: int) -> Step:
        suspect = self._question.suspect
        attempt, grace = suspect.attempt, suspect.grace if max_attempts > 1 else 0
        if self._question.error is not None or attempt > max_attempts + grace:
            return Step.GIVE_UP
        return Step.LEAVE if attempt < max_attempts else Step.RUN

    def run(self) -> object:
        """Run the task in this process, whatever its mode."""
        self._prepare()
        assert self._runnable is not None
        return self._runnable.execute()

    def reason(self) -> BaseException:
        """The error with which the call is given up."""
        if self._question.error is not None:
            return self._question.error.exception()
        return workers_died(self._question.suspect.attempt, self.found.started.max_attempts)

    def give_up(self, error: BaseException) -> Failure | None:
        """Call the task's `failed`; returns the failure of the hook, or None."""
        if self._runnable is None and self._host.attempt(self._prepare) is not None:
            return None  # a call that cannot be prepared has nothing to clean up

        def call() -> Awaitable[None] | None:
            assert self._runnable is not None
            return self._runnable.failed(error)

        failure = self._host.attempt(call)
        return None if failure is None else Failure.of(failure)

    def context(self) -> TaskContext:
        """What the running task may know."""
        suspect = self._question.suspect
        return TaskContext(
            id=suspect.id,
            name=self._definition.name,
            attempt=suspect.attempt,
            max_attempts=self.found.started.max_attempts,
            queue=suspect.queue,
            worker_id=suspect.worker_id,
            enqueued_at=self.envelope.enqueued_at,
            correlation_id=self.envelope.correlation_id,
        )

    def _prepare(self) -> None:
        self._runnable = self._definition.prepare(self.envelope.args, self.envelope.kwargs)


def _as_failure(error: BaseException) -> BaseException:
    return TaskCancelled(str(error)) if isinstance(error, asyncio.CancelledError) else error


def _has_hook(definition: TaskDefinition) -> bool:
    kind: object = definition.create  # a partial, if the task is a function
    hooks: list[object] = [getattr(each, "failed", None) for each in (kind, BaseTask)]
    return hooks[0] not in (None, hooks[1])


def _offer_to_the_oom_killer() -> None:
    """Make the kernel prefer this process to the worker when memory is short."""
    with suppress(OSError):  # there is no such file, or it is not ours to write
        Path("/proc/self/oom_score_adj").write_text("1000")
