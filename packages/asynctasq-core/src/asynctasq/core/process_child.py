"""What runs inside a child process: one job after the other, until there are no more."""

import asyncio
import contextvars
import importlib
import inspect
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection, parent_process
from types import FrameType
from typing import Any, Self

from asynctasq.config import Config
from asynctasq.core.channel import ChildEnd, forks_end_here
from asynctasq.core.client import client, codec_of
from asynctasq.core.failure import Failure
from asynctasq.core.tracing import Headers, current_tracing
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.errors import TaskNotFound
from asynctasq.importing import importer
from asynctasq.serialization.envelope import Envelope
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.tasks.context import TaskContext, running_task
from asynctasq.tasks.definition import TaskDefinition
from asynctasq.tasks.naming import importable_module
from asynctasq.tasks.registry import registry

#: Seconds between looks whether the parent lives, where what it forked holds its descriptors.
LOOK_FOR_PARENT = 5.0

SIGNALS = (signal.SIGTERM, signal.SIGINT)


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
class Reply:
    """A message about a job.

    Attributes:
        spent: the process should have no more jobs.
    """

    message: object
    spent: bool


class Host:
    """The child process, as one job sees it."""

    def __init__(
        self, setup: Setup, runner: asyncio.Runner, channel: ChildEnd, mark: bytes
    ) -> None:
        self.setup = setup
        self._runner = runner
        self._channel = channel
        self._mark = mark
        self._spent = False

    def send(self, message: object) -> None:
        """Tell the parent; what the job returns is the last message, and sent for it."""
        self._channel.send(self._mark, Reply(message, self._spent))

    def read(self, body: bytes) -> Envelope:
        """The envelope in `body`; raises as `EnvelopeCodec.decode` does."""
        return codec_of(self.setup.config, self.setup.serializer).decode(body)

    def attempt(self, work: Callable[[], object]) -> BaseException | None:
        """Call `work`, and finish what it returns if that is awaitable; what it raised, if it did.

        A process that it forked ends here: it must not answer, nor take the next job.
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
            # in a subtask it stops the loop at once, and the task itself is still there
            left = asyncio.all_tasks(self._runner.get_loop())
            self._spent = self._spent or bool(left)
            for task in left:
                task.cancel()
            raise


Perform = Callable[[Host, Any], object]


def perform(host: Host, job: Job) -> Failure | None:
    """Run a job of the process pool."""

    def work() -> object:
        envelope = host.read(job.body)
        definition = find(envelope.task, {envelope.task: job.origin})
        return definition.prepare(envelope.args, envelope.kwargs).execute()

    running_task.set(lambda: job.context)
    with traced(job.trace):
        error = host.attempt(work)
        return None if error is None else Failure.of(error)


def find(name: str, origins: Mapping[str, str]) -> TaskDefinition:
    """The task called `name`.

    Args:
        origins: where the parent has its tasks from, by name; their modules may be imported here,
            too.
    """
    try:
        return registry.find(name)
    except TaskNotFound:
        if name not in origins:
            raise
        importlib.import_module(importable_module(origins[name].partition(":")[0]))
        return registry.find(name)


def traced(headers: Headers) -> AbstractContextManager[None]:
    """Entered around what belongs to the trace that `headers` lead to, if there is tracing."""
    tracing = current_tracing()
    return tracing.continued(headers) if tracing else nullcontext()


def main(sock: socket.socket, ready: bytes, setup: Setup, perform: Perform) -> None:
    """Say that it is `ready`, and perform the jobs that come from `sock`, until it closes."""
    channel = ChildEnd(sock)
    _leave_signals_to_the_parent()
    multiprocessing.current_process().daemon = False  # else its tasks could not have processes
    threading.Thread(target=_die_with_parent, daemon=True).start()
    importer.allow(setup.config.imports)
    client.configure(setup.config, setup.serializer, setup.make_driver)
    for initialize in setup.initializers:
        initialize()
    channel.send(ready, Reply(None, spent=False))
    with asyncio.Runner() as runner:
        while (received := channel.receive()) is not None:
            mark, job = received
            host = Host(setup, runner, channel, mark)
            # a context of its own: what one task sets, the next must not see
            host.send(contextvars.copy_context().run(perform, host, job))


def _leave_signals_to_the_parent() -> None:
    """Ctrl+C and a supervisor's SIGTERM reach the whole process group; the parent decides.

    A handler, as what is ignored would be ignored by the programs that tasks start, too. What they
    fork has Python's own handlers again, so that it can be terminated.
    """
    for number in SIGNALS:
        signal.signal(number, _do_nothing)
    if sys.platform != "win32":
        os.register_at_fork(
            before=_hold_signals,
            after_in_parent=_release_signals,
            after_in_child=_restore_signals,
        )


class _Held(threading.local):
    """The signals that were blocked before a thread forked."""

    mask: set[int] | None = None


_held = _Held()


def _hold_signals() -> None:
    """Keep those that come too early for `_restore_signals`; else they would be lost."""
    _held.mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS))


def _release_signals() -> None:
    if _held.mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _held.mask)
        _held.mask = None


def _restore_signals() -> None:
    defaults = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    for number, handler in defaults.items():
        if signal.getsignal(number) is _do_nothing:
            signal.signal(number, handler)
    _release_signals()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass


async def _wait(result: Any) -> None:
    await result


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return
    while not connection.wait([parent.sentinel], timeout=LOOK_FOR_PARENT):
        if sys.platform != "win32" and os.getppid() != parent.pid:
            break
    os._exit(1)  # nobody takes the result, and the call runs elsewhere
