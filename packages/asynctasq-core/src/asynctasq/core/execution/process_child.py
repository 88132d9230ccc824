"""The main loop of a child process: performs jobs, one at a time, until the channel closes."""

import asyncio
import contextvars
import importlib
import inspect
import multiprocessing
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from asynctasq.config import Config
from asynctasq.core.execution.channel import ChildEnd, forks_end_here
from asynctasq.core.execution.child_signals import end_with_the_parent, leave_signals_to_the_parent
from asynctasq.core.execution.failure import Failure
from asynctasq.core.execution.tracing import Headers, current_tracing
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.errors import TaskNotFound
from asynctasq.importing import importer
from asynctasq.serialization.envelope import Envelope, codec_of
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.tasks.context import TaskContext, running_task
from asynctasq.tasks.definition import TaskDefinition
from asynctasq.tasks.naming import importable_module
from asynctasq.tasks.registry import registry

#: Called with the configuration, the serializer and a driver factory; must be picklable.
Configure = Callable[[Config, BaseSerializer, Callable[[], BaseDriver]], None]


@dataclass(frozen=True, slots=True)
class Setup:
    """The set-up of a new process; sent to it by pickle.

    Attributes:
        configure: makes the process dispatch to the worker's broker.
        initializers: called before the first job.
    """

    config: Config
    serializer: BaseSerializer
    make_driver: Callable[[], BaseDriver]
    configure: Configure
    initializers: Sequence[Callable[[], None]] = ()

    @classmethod
    def of(
        cls,
        driver: BaseDriver,
        config: Config,
        serializer: BaseSerializer,
        configure: Configure,
        initializer: Callable[[], None] | None = None,
    ) -> Self:
        """Returns the set-up of a worker's processes, which dispatch to the broker of `driver`."""
        tracing = current_tracing()
        steps = (initializer, tracing.child_setup if tracing else None)
        return cls(
            config,
            serializer,
            partial(type(driver), driver.settings),
            configure,
            [step for step in steps if step is not None],
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt: the message's body, and where its task was defined.

    Attributes:
        trace: the headers of the parent span; empty without one.
    """

    body: bytes
    origin: str
    context: TaskContext
    trace: Headers = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Reply:
    """A message about a job.

    Attributes:
        spent: whether the process must not get another job.
    """

    message: object
    spent: bool


class Host:
    """The parts of a child process that a job uses."""

    def __init__(
        self, setup: Setup, runner: asyncio.Runner, channel: ChildEnd, mark: bytes
    ) -> None:
        self.setup = setup
        self._runner = runner
        self._channel = channel
        self._mark = mark
        self._spent = False

    def send(self, message: object) -> None:
        """Sends a message to the parent. The job's return value is sent as the last message."""
        self._channel.send(self._mark, Reply(message, self._spent))

    def read(self, body: bytes) -> Envelope:
        """Decodes the envelope in `body`; raises the errors of `EnvelopeCodec.decode`."""
        return codec_of(self.setup.serializer, self.setup.config.signing_keys).decode(body)

    def attempt(self, work: Callable[[], object]) -> BaseException | None:
        """Calls `work`, and awaits an awaitable result; returns the exception, or None.

        A process that `work` forked ends here: it must neither answer nor take the next job.
        """
        try:
            with forks_end_here(os.getpid()):
                result = work()
                if inspect.isawaitable(result):
                    self._finish(result)
        except BaseException as error:  # noqa: BLE001 - a task may raise anything; the parent judges
            return error
        return None

    def _finish(self, result: Any) -> None:
        try:
            self._runner.run(_wait(result), context=contextvars.copy_context())
        except (SystemExit, KeyboardInterrupt):
            # raised in a subtask, it stops the loop at once, with the task itself still pending
            left = asyncio.all_tasks(self._runner.get_loop())
            self._spent = self._spent or bool(left)
            for task in left:
                task.cancel()
            raise


Perform = Callable[[Host, Any], object]


def perform(host: Host, job: Job) -> Failure | None:
    """Runs a job of the process pool."""

    def work() -> object:
        envelope = host.read(job.body)
        definition = find(envelope.task, {envelope.task: job.origin})
        return definition.prepare(envelope.args, envelope.kwargs).execute()

    running_task.set(lambda: job.context)
    with traced(job.trace):
        error = host.attempt(work)
        return None if error is None else Failure.of(error)


def find(name: str, origins: Mapping[str, str]) -> TaskDefinition:
    """Returns the task called `name`.

    Args:
        origins: `TaskDefinition.origin` of the parent's tasks, by name; their modules may be
            imported here, too.
    """
    try:
        return registry.find(name)
    except TaskNotFound:
        if name not in origins:
            raise
        importlib.import_module(importable_module(origins[name].partition(":")[0]))
        return registry.find(name)


def traced(headers: Headers) -> AbstractContextManager[None]:
    """Continues the trace of `headers`, if this process traces."""
    tracing = current_tracing()
    return tracing.continued(headers) if tracing else nullcontext()


def main(sock: socket.socket, ready: bytes, setup: Setup, perform: Perform) -> None:
    """Sends the mark `ready`, then performs the jobs that arrive at `sock`, until it closes."""
    channel = ChildEnd(sock)
    leave_signals_to_the_parent()
    multiprocessing.current_process().daemon = False  # a daemon's tasks could not start processes
    end_with_the_parent()
    importer.allow(setup.config.imports)
    setup.configure(setup.config, setup.serializer, setup.make_driver)
    for initialize in setup.initializers:
        initialize()
    channel.send(ready, Reply(None, spent=False))
    with asyncio.Runner() as runner:
        while (received := channel.receive()) is not None:
            mark, job = received
            host = Host(setup, runner, channel, mark)
            # a context of its own: context variables must not leak into the next task
            host.send(contextvars.copy_context().run(perform, host, job))


async def _wait(result: Any) -> None:
    await result
