"""Lets one attempt run with nothing else in its worker.

A message whose workers died at every allowed attempt may be what killed them, or may only have run
beside what did. Alone it harms no other, and shows which of the two it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from asynctasq.core.slots import Slots

#: Seconds that running tasks have to end, so that the attempt is alone.
PATIENCE = 30.0
#: Seconds after which the worker takes other tasks again, while it still runs.
LONG_ENOUGH = 30.0
#: Chances where a broker also counts deliveries that nothing began with: a message that only lay
#: beside the one that killed its worker is unlikely to do so every time.
CHANCES_IF_INEXACT = 4
#: Seconds before a message is delivered again that could not be secluded beside another.
AGAIN = 1.0


class Seclusion:
    """At most one attempt at a time is secluded.

    Args:
        slots: where the others are.
        hold: awaited until no more messages come.
        flush: awaited until the outcomes of what ended are stored.
        chances: how often a message may be the one that is secluded.
    """

    def __init__(
        self,
        slots: Slots,
        *,
        hold: Callable[[], Awaitable[None]],
        flush: Callable[[], Awaitable[None]],
        chances: int,
    ) -> None:
        self.chances = chances
        self._slots = slots
        self._hold = hold
        self._flush = flush
        self._taken = False
        #: Nothing else may begin.
        self.closed = False

    @contextmanager
    def claimed(self) -> Generator[bool, None, None]:
        """Close the worker for others; False if it is another's already."""
        if self._taken:
            yield False
            return
        self._taken = self.closed = True
        try:
            yield True
        finally:
            self._taken = False
            self._open()

    @contextmanager
    def limited(self) -> Generator[None, None, None]:
        """Let others in again after `LONG_ENOUGH`: what kills its worker does not take that long.

        An innocent task may take hours.
        """
        timer = asyncio.get_running_loop().call_later(LONG_ENOUGH, self._open)
        try:
            yield
        finally:
            timer.cancel()

    async def is_alone(self) -> bool:
        """Wait until nothing else runs, nor waits to be stored; False if that takes too long."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._hold()
                while len(self._slots) > 1:
                    await self._slots.change()
                await self._flush()
        except TimeoutError:
            return False
        return True

    def _open(self) -> None:
        self.closed = False
        self._slots.changed()
