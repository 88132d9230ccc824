"""`run` behaves as ``asyncio.run``, with and without a worker."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, wait_until, work

from asynctasq import Worker, run
from asynctasq.utils import loop as loops


def uvloops() -> Any:
    return pytest.importorskip("uvloop").Loop


@pytest.fixture(params=["asyncio", "uvloop"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Any]]:
    """What `run` makes its loops of."""
    base = asyncio.SelectorEventLoop if request.param == "asyncio" else uvloops()
    monkeypatch.setattr(loops, "_fastest_loop_type", lambda: base)
    loops._loop_type.cache_clear()
    yield base
    loops._loop_type.cache_clear()


def exit_with(kind: str) -> None:
    raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt()}[kind]


async def child(kind: str) -> None:
    await asyncio.sleep(0)
    exit_with(kind)


kept: list[asyncio.Task[None]] = []
INTERRUPTIONS = pytest.mark.parametrize("exit_kind", ["exit", "interrupt"])


@INTERRUPTIONS
def test_without_a_worker_an_exit_ends_the_program_as_ever(exit_kind: str) -> None:
    cleaned: list[str] = []

    async def main() -> None:
        kept.append(asyncio.create_task(child(exit_kind)))
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append("main")

    with pytest.raises((SystemExit, KeyboardInterrupt)):
        run(main())
    kept.pop().exception()
    assert cleaned == ["main"]


@INTERRUPTIONS
def test_an_exit_of_the_main_task_ends_the_program_as_ever(
    new_driver: NewDriver, exit_kind: str
) -> None:
    async def main() -> None:
        worker = Worker(new_driver())
        running = asyncio.create_task(worker.start())
        await wait_until(lambda: worker.status() is not None)
        assert not running.done()
        exit_with(exit_kind)

    with pytest.raises((SystemExit, KeyboardInterrupt)):
        run(main())


def test_after_the_worker_an_exit_ends_the_program_again(new_driver: NewDriver) -> None:
    async def main() -> None:
        await work(new_driver, tasks.note("x"))
        kept.append(asyncio.create_task(child("exit")))
        await asyncio.sleep(60)

    with pytest.raises(SystemExit):
        run(main())
    kept.pop().exception()


async def beside_a_worker(new_driver: NewDriver) -> None:
    """An application that leaves signals to itself, and waits."""
    worker = Worker(new_driver(), handle_signals=False)
    running = asyncio.create_task(worker.start())
    await wait_until(lambda: worker.status() is not None)
    threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGTERM]).start()
    await running


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("error", [SystemExit(4), KeyboardInterrupt()])
def test_a_signals_own_handler_ends_the_program_as_ever(
    new_driver: NewDriver, error: BaseException
) -> None:
    def handle(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with pytest.raises(type(error)):
            run(beside_a_worker(new_driver))
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_control_c_ends_a_producer_as_ever() -> None:
    async def main() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(main())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_second_control_c_ends_a_program_that_ignores_the_first(new_driver: NewDriver) -> None:
    async def main() -> None:
        worker = Worker(new_driver(), handle_signals=False)
        running = asyncio.create_task(worker.start())
        await wait_until(lambda: worker.status() is not None)
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()
            await asyncio.wait([running])

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(main())
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_loop_still_looks_like_its_kind(kind: type[Any]) -> None:
    async def main() -> tuple[type[Any], str]:
        loop = asyncio.get_running_loop()
        return type(loop), type(loop).__module__

    of, module = run(main())
    assert issubclass(of, kind)
    assert module == kind.__module__


def test_what_a_program_leaves_is_cleaned_up_as_ever() -> None:
    left: list[str] = []
    generators: list[Any] = []

    async def generate() -> Any:
        try:
            yield 1
        finally:
            left.append("generator")

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            left.append("task")

    async def main() -> None:
        kept.append(asyncio.create_task(forever()))
        generators.append(generate())
        left.append(str(await anext(generators[0])))
        await asyncio.to_thread(time.sleep, 0)

    run(main())
    kept.clear()
    assert left == ["1", "task", "generator"]
    assert [one for one in threading.enumerate() if one.name.startswith("asyncio_")] == []
