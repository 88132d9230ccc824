"""What runs inside a process of the pool: one job after the other, until the pipe closes."""

import asyncio
import importlib
import inspect
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from typing import cast

from asynctasq.config import Config
from asynctasq.core.client import client, codec_of
from asynctasq.errors import TaskError, TaskNotFound
from asynctasq.importing import importer
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.tasks.context import TaskContext, running_task
from asynctasq.tasks.definition import Runnable, TaskDefinition
from asynctasq.tasks.naming import importable_module
from asynctasq.tasks.registry import registry


@dataclass(frozen=True, slots=True)
class Setup:
    """What a new process must know; travels by pickle to our own child."""

    config: Config
    serializer: BaseSerializer
    imports: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt: the message's body, and where its task was defined."""

    body: bytes
    origin: str
    context: TaskContext


@dataclass(frozen=True, slots=True)
class Failure:
    """What a task raised; its traceback as text, since tracebacks do not travel."""

    exception: BaseException
    traceback: str


def main(pipe: "Connection[Failure | None, Job]", setup: Setup) -> None:
    """Run jobs from `pipe` until it closes."""
    # Ctrl+C and a supervisor's SIGTERM reach the whole process group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    importer.allow(setup.imports)
    client.configure(setup.config, setup.serializer)
    with asyncio.Runner() as runner:
        while True:
            try:
                job = pipe.recv()
            except EOFError:
                return
            pipe.send(_run(job, runner, setup))


def _run(job: Job, runner: asyncio.Runner, setup: Setup) -> Failure | None:
    token = running_task.set(lambda: job.context)
    try:
        runnable = _prepare(job, setup)
        result: object = runnable.execute()
        if inspect.isawaitable(result):
            runner.run(_await(cast("Awaitable[object]", result)))
    except BaseException as error:  # noqa: BLE001 - a task may raise anything; the parent judges
        return Failure(_portable(error), traceback.format_exc())
    finally:
        running_task.reset(token)
    return None


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


def _portable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - an exception's own pickling may fail in any way
        return TaskError(f"{type(error).__name__}: {error}")
    return error


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)  # whoever would take the result is gone, and the call runs elsewhere
