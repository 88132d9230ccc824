"""Processes that are forked while a worker handles signals."""

import asyncio
import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
from worker_for_tests import NewDriver, wait_until

from asynctasq import Worker, dispatch_many, task

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing to fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """The next test finds the handler that was there."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


fork: Any = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


@task(max_attempts=1)
def end_a_child_in_thread(result: str) -> None:
    end_a_child(result)


@task(max_attempts=1)
async def end_a_child_on_loop(result: str) -> None:
    end_a_child(result)


codes: dict[str, tuple[int | None, float]] = {}


def end_a_child(result: str) -> None:
    child = fork.Process(target=time.sleep, args=(60,))
    child.start()
    started = time.monotonic()
    child.terminate()  # at once: it may not have got as far as its first line
    child.join(30)
    codes[result] = (child.exitcode, time.monotonic() - started)


@pytest.mark.parametrize("how", [end_a_child_in_thread, end_a_child_on_loop])
async def test_a_child_that_a_task_forks_ends_at_sigterm(new_driver: NewDriver, how: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    names = [uuid.uuid4().hex for _ in range(20)]
    await dispatch_many([how(name) for name in names])
    await asyncio.wait_for(Worker(new_driver(), burst=True, concurrency=2).start(), 60)
    assert {codes.pop(name)[0] for name in names} == {-signal.SIGTERM}


async def test_a_forked_child_has_the_handlers_of_before(new_driver: NewDriver) -> None:
    numbers: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        numbers.append(number)

    signal.signal(signal.SIGTERM, handle)
    worker = Worker(new_driver())
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: worker.status() is not None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    child = os.fork()
    if child == 0:
        try:
            is_back = signal.getsignal(signal.SIGTERM) is handle
            same = signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
            os._exit(0 if is_back and same else 1)
        finally:
            os._exit(2)
    assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(running, 20)
    assert numbers == [signal.SIGTERM]
