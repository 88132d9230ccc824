"""Quarantines and suspects for tests, and the output of the suspects."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from asynctasq import BaseTask, Config, DriverFactory, MsgpackSerializer, TaskCall
from asynctasq.core.execution.process_child import Setup
from asynctasq.core.execution.quarantine import Quarantine, Started, Suspect, Verdict
from asynctasq.core.producer.client import configure_client
from asynctasq.serialization import Envelope, EnvelopeCodec

Open = Callable[..., Quarantine]


def suspect(call: Any, attempt: int = 2, serializer: Any = None, **envelope: Any) -> Suspect:
    if isinstance(call, BaseTask):
        call = call.call()
    if isinstance(call, TaskCall):
        call = Envelope(call.definition.name, call.args, call.kwargs, **envelope)
    body = EnvelopeCodec(serializer or MsgpackSerializer()).encode(call)
    return Suspect(body, "id", "queue", attempt, "worker")


class Starts(list[Started]):
    def __call__(self, started: Started) -> None:
        asyncio.get_running_loop()
        self.append(started)


async def examine(one: Quarantine, what: Suspect) -> tuple[Verdict, Starts]:
    starts = Starts()
    async with asyncio.timeout(60):
        return await one.examine(what, starts), starts


def lines(path: Path) -> list[str]:
    """What was told there, without the processes."""
    return [line.rpartition(" ")[0] for line in _told(path)]


def pids(path: Path) -> list[int]:
    return [int(line.rpartition(" ")[2]) for line in _told(path)]


def _told(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@asynccontextmanager
async def quarantines() -> AsyncIterator[Open]:
    """Makes quarantines, and closes them."""
    opened: list[Quarantine] = []

    def new(
        size: int = 1, serializer: MsgpackSerializer | None = None, **settings: Any
    ) -> Quarantine:
        config = Config(driver="memory", **settings)
        driver = DriverFactory.create_from_config(config)
        setup = Setup.of(driver, config, serializer or MsgpackSerializer(), configure_client)
        opened.append(Quarantine(size, setup))
        return opened[-1]

    yield new
    for one in opened:
        await one.close()
    assert multiprocessing.active_children() == []
