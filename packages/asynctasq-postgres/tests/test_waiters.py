"""What wakes a dequeue that waits."""

import asyncio

import pytest

from asynctasq import run
from asynctasq_postgres.wake import Waiter


@pytest.mark.parametrize("runner", [asyncio.run, run], ids=["asyncio", "uvloop"])
def test_news_that_comes_when_the_wait_is_over_is_no_error(runner: object) -> None:
    async def main() -> None:
        waiter = Waiter()
        waiting = asyncio.create_task(waiter.wait(0))
        await asyncio.sleep(0)
        waiter.wake(-0.5)
        waiter.wake(0.5)
        async with asyncio.timeout(5):
            await waiting

    runner(main())  # type: ignore[operator]


@pytest.mark.parametrize("runner", [asyncio.run, run], ids=["asyncio", "uvloop"])
def test_an_earlier_message_ends_the_wait_earlier(runner: object) -> None:
    async def main() -> None:
        waiter = Waiter()
        waiting = asyncio.create_task(waiter.wait(60))
        await asyncio.sleep(0)
        waiter.wake(0.01)
        async with asyncio.timeout(5):
            await waiting

    runner(main())  # type: ignore[operator]
