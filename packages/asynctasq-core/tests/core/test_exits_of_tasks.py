"""SystemExit and KeyboardInterrupt in a child task fail its attempt, and nothing else."""

import asyncio
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import tasks_for_tests as tasks
from worker_for_tests import NewDriver, look, wait_until, work

from asynctasq import Worker, current_context, run, task
from asynctasq.drivers import State
from asynctasq.utils import loop as loops

LINE = "in a child task or a callback: the worker goes on"


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


RETRIED = {
    "max_attempts": 2,
    "retry_delay": 0,
    "retry_strategy": "fixed",
    "retry_on": BaseException,
}
again: Any = task(**RETRIED)  # type: ignore[call-overload]


@again
async def gather(kind: str) -> None:
    tasks.ran.append(current_context().attempt)
    await asyncio.gather(child(kind), asyncio.sleep(0.01))


@again
async def group(kind: str) -> None:
    tasks.ran.append(current_context().attempt)
    async with asyncio.TaskGroup() as one:
        one.create_task(asyncio.sleep(60))
        one.create_task(child(kind))


@again
async def await_a_task(kind: str) -> None:
    tasks.ran.append(current_context().attempt)
    await asyncio.create_task(child(kind))


@again
async def limit_a_child(kind: str) -> None:
    tasks.ran.append(current_context().attempt)
    await asyncio.wait_for(asyncio.create_task(child(kind)), 30)


@again
async def shield(kind: str) -> None:
    tasks.ran.append(current_context().attempt)
    await asyncio.shield(child(kind))


@again
async def grandchild(kind: str) -> None:
    tasks.ran.append(current_context().attempt)

    async def between() -> None:
        await asyncio.gather(child(kind))

    await asyncio.create_task(between())


@task
async def leave_a_task_behind(kind: str, bad: int) -> None:
    kept.extend(asyncio.create_task(child(kind)) for _ in range(bad))
    tasks.ran.append("left")


@task
async def leave_a_callback_behind(kind: str) -> None:
    asyncio.get_running_loop().call_soon(exit_with, kind)
    tasks.ran.append("left")


kept: list[asyncio.Task[None]] = []
INTERRUPTIONS = pytest.mark.parametrize("exit_kind", ["exit", "interrupt"])
CHILDREN = [gather, group, await_a_task, limit_a_child, shield, grandchild]


@INTERRUPTIONS
@pytest.mark.parametrize("way", CHILDREN)
def test_the_attempt_fails_and_is_counted(
    new_driver: NewDriver,
    ran: list[object],
    caplog: pytest.LogCaptureFixture,
    way: Any,
    exit_kind: str,
) -> None:
    name = uuid.uuid4().hex
    gate = tasks.gates[name] = tasks.Gate()

    async def main() -> list[Any]:
        innocent = tasks.pass_gate(name).max_attempts(1)

        async def release() -> None:  # when the other is dead, the innocent still runs
            await wait_until(lambda: ran == [1, 2])
            assert gate.inside == 1
            gate.opened.set()

        releasing = asyncio.create_task(release())
        dead = await work(new_driver, innocent, way(exit_kind), concurrency=2)
        await releasing
        return dead

    (dead,) = run(main())
    assert (dead.attempt, dead.note.splitlines()[0].partition(":")[0]) == (
        2,
        {"exit": "SystemExit", "interrupt": "KeyboardInterrupt"}[exit_kind],
    )
    assert ran == [1, 2, name]
    assert sum(LINE in record.message for record in caplog.records) >= 1
    assert run(look(new_driver, State.READY)) == []


@INTERRUPTIONS
def test_what_nobody_awaits_hurts_nobody(
    new_driver: NewDriver, ran: list[object], caplog: pytest.LogCaptureFixture, exit_kind: str
) -> None:
    calls = [leave_a_task_behind(exit_kind, 3), leave_a_callback_behind(exit_kind)]

    async def main() -> list[Any]:
        for call in calls:
            await call.dispatch()
        worker = Worker(new_driver())
        running = asyncio.create_task(worker.start())
        await wait_until(lambda: len(ran) == 2 and all(one.done() for one in kept))
        await tasks.note("after").dispatch()
        await wait_until(lambda: "after" in ran)
        await worker.stop()
        await running
        return await look(new_driver)

    assert run(main()) == []
    assert ran == ["left", "left", "after"]
    assert any(LINE in record.message for record in caplog.records)  # uvloop may see two as one
    assert [type(one.exception()) for one in kept] == [
        {"exit": SystemExit, "interrupt": KeyboardInterrupt}[exit_kind]
    ] * 3
    kept.clear()


def test_the_warning_is_one_line(
    new_driver: NewDriver, ran: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    run(work(new_driver, leave_a_task_behind("exit", 1)))
    kept.pop().exception()
    (record,) = [one for one in caplog.records if LINE in one.message]
    assert (record.name, record.levelno) == ("asynctasq.worker", logging.WARNING)
    assert record.message == f"SystemExit(3) {LINE}"
