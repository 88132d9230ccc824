"""The child's side of the quarantine: reads a message, and runs its task, or the task's hook."""

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
    """An abandoned message, and its delivery.

    Attributes:
        grace: deliveries beyond the allowed attempts at which it may still run once, because it may
            never have started; not if only one attempt is allowed.
        trace: the headers of the parent span; if empty, those of the message.
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
        timeout: limit on the attempt's duration, in seconds.
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
        error: if set, the call does not run, and is given up with this error.
    """

    suspect: Suspect
    origins: Mapping[str, str]
    error: Failure | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The first message about a readable suspect.

    Attributes:
        has_hook: whether its task overrides `failed`.
    """

    started: Started
    step: Step
    has_hook: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The only message about an unreadable suspect."""

    failure: Failure


def examine(host: Host, question: Question) -> Found | Unreadable | Failure | None:
    """Reads a suspect, then runs its last attempt, or gives it up if that one is over.

    Sends these messages, and returns the last one: `Unreadable`; or `Found`, after a run its
    failure or None, after giving up the failure of the hook or None.
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
        """Decodes the message, and imports its task."""
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
        """Runs the task in this process, whatever its mode."""
        self._prepare()
        assert self._runnable is not None
        return self._runnable.execute()

    def reason(self) -> BaseException:
        """Returns the error with which the call is given up."""
        if self._question.error is not None:
            return self._question.error.exception()
        return workers_died(self._question.suspect.attempt, self.found.started.max_attempts)

    def give_up(self, error: BaseException) -> Failure | None:
        """Calls the task's `failed` hook; returns the failure of the hook, or None."""
        if self._runnable is None and self._host.attempt(self._prepare) is not None:
            return None  # a call that cannot be prepared has nothing to clean up

        def call() -> Awaitable[None] | None:
            assert self._runnable is not None
            return self._runnable.failed(error)

        failure = self._host.attempt(call)
        return None if failure is None else Failure.of(failure)

    def context(self) -> TaskContext:
        """Returns the context of the running task."""
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
    """Makes the kernel kill this process before the worker when memory is short."""
    with suppress(OSError):  # no such file, or no permission to write it
        Path("/proc/self/oom_score_adj").write_text("1000")
