"""The arrival time of a reply, for a process that may have been stopped."""

import asyncio
import threading
import time

import pytest

from asynctasq_sqs.arrival_time import answer_to

pytestmark = pytest.mark.anyio
STEP = 0.05


async def test_what_came_while_the_loop_was_blocked_may_have_come_at_its_start() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(answer_to(_of(answer), STEP))
    await asyncio.sleep(4 * STEP)
    blocked = time.monotonic()
    loop = asyncio.get_running_loop()
    timer = threading.Timer(STEP, loop.call_soon_threadsafe, (answer.set_result, "late"))
    timer.start()
    time.sleep(10 * STEP)
    text, before = await asking
    timer.join()
    assert text == "late"
    assert before <= blocked


async def test_what_comes_while_the_loop_runs_has_just_come() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    started = time.monotonic()
    asking = asyncio.create_task(answer_to(_of(answer), STEP))
    await asyncio.sleep(20 * STEP)
    answer.set_result("now")
    _, before = await asking
    assert before > started + 5 * STEP


async def test_a_cancelled_request_ends() -> None:
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(answer_to(_of(never), STEP))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert never.cancelled()


async def _of(answer: "asyncio.Future[str]") -> str:
    return await answer
