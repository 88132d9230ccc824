"""SAQ, whatever its broker."""

import inspect
from collections.abc import Callable
from typing import Any

import bodies
from common import CONCURRENCY, Moments, by_hundreds, main
from saq import Queue, Worker

NO_RESULT = -1


def measure(queue: Queue) -> None:
    """Do what the command line says with `queue`."""

    async def enqueue(count: int) -> None:
        await queue.connect()
        await by_hundreds(count, lambda: queue.enqueue("noop", ttl=NO_RESULT))

    async def send(moments: Moments) -> None:
        await queue.connect()
        async for sent in moments:
            await queue.enqueue("stamp", sent=sent, ttl=NO_RESULT)

    async def work() -> None:
        await queue.connect()
        functions = [("noop", with_context(bodies.noop)), ("stamp", with_context(bodies.stamp))]
        await Worker(queue, functions=functions, concurrency=CONCURRENCY).start()

    main(enqueue, send, work)


def with_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with the argument that SAQ gives to all."""
    if not inspect.iscoroutinefunction(function):
        return lambda ctx, **given: function(**given)

    async def call(ctx: object, **given: object) -> None:
        await function(**given)

    return call
