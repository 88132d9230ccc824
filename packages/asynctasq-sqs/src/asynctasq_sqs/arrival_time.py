"""When an answer came, also to a process that was not there to read it."""

import asyncio
import time
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def answer_to(request: Coroutine[object, object, T], step: float) -> tuple[T, float]:
    """The answer, and a moment before which it had not come, by the monotonic clock.

    While this process is stopped, or its event loop blocked, an answer lies in the socket. So there
    is a look every `step` seconds: what is read soon after a look may have come in the pause before
    it, however long that was, and what is read later came after it.
    """
    earlier = later = time.monotonic()
    asking = asyncio.create_task(request)
    try:
        while not (await asyncio.wait({asking}, timeout=step))[0]:
            earlier, later = later, time.monotonic()
        return asking.result(), earlier
    finally:
        asking.cancel()
        await asyncio.wait({asking})
