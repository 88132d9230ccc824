"""Bounds the time at which a reply arrived, even if the process was stopped meanwhile."""

import asyncio
import time
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def answer_to(request: Coroutine[object, object, T], step: float) -> tuple[T, float]:
    """Return the reply, and the latest monotonic time at which it had certainly not arrived.

    While the process is stopped, or its event loop blocked, a reply waits in the socket. So the
    clock is read every `step` seconds: a reply read soon after such a tick may have arrived in the
    pause before it, however long; a reply read later arrived after the tick before it.
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
