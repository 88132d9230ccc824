"""What runs inside a process of the pool: one job after the other, until the pipe closes."""

import asyncio
import contextvars
import importlib
import inspect
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from typing import Self, cast

from asynctasq.config import Config
from asynctasq.core.client import client, codec_of
from asynctasq.core.tracing import Headers, current_tracing
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.errors import TaskError, TaskNotFound
from asynctasq.importing import importer
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.tasks.context import TaskContext, running_task
from asynctasq.tasks.definition import Runnable, TaskDefinition
from asynctasq.tasks.naming import importable_module
from asynctasq.tasks.registry import registry


@dataclass(frozen=True, slots=True)
class Setup:
    """What a new process must know; travels by pickle to our own child.

    Attributes:
        initializers: called before the first job.
    """

    config: Config
    serializer: BaseSerializer
    make_driver: Callable[[], BaseDriver]
    initializers: Sequence[Callable[[], None]] = ()

    @classmethod
    def of(
        cls,
        driver: BaseDriver,
        config: Config,
        serializer: BaseSerializer,
        initializer: Callable[[], None] | None = None,
    ) -> Self:
        """The set-up of a worker on `driver`: there, too, goes what its processes dispatch."""
        tracing = current_tracing()
        steps = (initializer, tracing.child_setup if tracing else None)
        return cls(
            config,
            serializer,
            partial(type(driver), driver.settings),
            [step for step in steps if step is not None],
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt: the message's body, and where its task was defined.

    Attributes:
        trace: leads to the span it is a part of, if there is one.
    """

    body: bytes
    origin: str
    context: TaskContext
    trace: Headers = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Failure:
    """What a task raised.

    Attributes:
        pickled: the exception, by pickle; it may not be readable at the other end.
        text: the exception for people, should it not be.
        traceback: as text, since tracebacks do not travel.
    """

    pickled: bytes
    text: str
    traceback: str

    def exception(self) -> BaseException:
        """What the task raised, with its traceback as a note."""
        try:
            error = pickle.loads(self.pickled)
        except Exception:  # noqa: BLE001 - an exception's own pickling may fail in any way
            error = TaskError(self.text)
        error.add_note(self.traceback)
        return error


def main(pipe: "Connection[Failure | None, Job]", setup: Setup) -> None:
    """Run jobs from `pipe` until it closes."""
    # Ctrl+C and a supervisor's SIGTERM reach the whole process group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    importer.allow(setup.config.imports)
    client.configure(setup.config, setup.serializer, setup.make_driver)
    for initialize in setup.initializers:
        initialize()
    pipe.send(None)  # ready
    with asyncio.Runner() as runner:
        while True:
            try:
                job = pipe.recv()
            except EOFError:
                return
            # a context of its own: what one task sets, the next must not see
            pipe.send(contextvars.copy_context().run(_run, job, runner, setup))


def _run(job: Job, runner: asyncio.Runner, setup: Setup) -> Failure | None:
    running_task.set(lambda: job.context)
    tracing = current_tracing()
    try:
        with tracing.continued(job.trace) if tracing else nullcontext():
            _execute(_prepare(job, setup), runner)
    except BaseException as error:  # noqa: BLE001 - a task may raise anything; the parent judges
        return _failure(error)
    return None


def _execute(runnable: Runnable, runner: asyncio.Runner) -> None:
    result: object = runnable.execute()
    if inspect.isawaitable(result):
        work = _await(cast("Awaitable[object]", result))
        runner.run(work, context=contextvars.copy_context())


def _prepare(job: Job, setup: Setup) -> Runnable:
    envelope = codec_of(setup.config, setup.serializer).decode(job.body)
    return _find(envelope.task, job.origin).prepare(envelope.args, envelope.kwargs)


def _find(name: str, origin: str) -> TaskDefinition:
    """The task; the parent has it registered, so its module may be imported here, too."""
    try:
        return registry.find(name)
    except TaskNotFound:
        importlib.import_module(importable_module(origin.partition(":")[0]))
        return registry.find(name)


async def _await(result: Awaitable[object]) -> None:
    await result


def _failure(error: BaseException) -> Failure:
    text = "".join(traceback.format_exception_only(error)).strip()
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)
    except Exception:  # noqa: BLE001 - an exception's own pickling may fail in any way
        pickled = b""
    return Failure(pickled, text, "".join(traceback.format_exception(error)))


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)  # whoever would take the result is gone, and the call runs elsewhere
