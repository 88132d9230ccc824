"""Delivers events to emitters without blocking the worker."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from asynctasq.events.records import Event

logger = logging.getLogger("asynctasq.events")

CAPACITY = 10_000
#: Seconds an emitter has for its remaining events when the worker ends.
PATIENCE = 2.0


@runtime_checkable
class EventEmitter(Protocol):
    """Receives events. Exceptions are logged; a slow emitter never blocks the worker."""

    async def emit(self, event: Event) -> None:
        """Handle one event."""
        ...


@runtime_checkable
class ClosingEmitter(Protocol):
    """An emitter with resources to close, such as a connection."""

    async def close(self) -> None:
        """Close them: called once on each event loop that called `emit`, after the last event."""
        ...


class EventStream:
    """A bounded buffer for each emitter, which drops the oldest event when it is full.

    False without emitters: callers then skip creating events.
    """

    def __init__(self, emitters: Sequence[EventEmitter]) -> None:
        self._feeds = [_Feed(emitter) for emitter in emitters]

    def __bool__(self) -> bool:
        return bool(self._feeds)

    def emit(self, make: Callable[[], Event]) -> None:
        """Buffer an event for every emitter; `make` is called only if there are emitters."""
        if self._feeds:
            event = make()
            for feed in self._feeds:
                feed.put(event)

    def start(self) -> None:
        """Start sending, on the running event loop."""
        for feed in self._feeds:
            feed.start()

    async def close(self) -> None:
        """Send the remaining events, for `PATIENCE` seconds, and close the emitters."""
        await asyncio.gather(*(feed.close() for feed in self._feeds))

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()


class _Feed:
    def __init__(self, emitter: EventEmitter) -> None:
        self._emitter = emitter
        self._events: deque[Event] = deque(maxlen=CAPACITY)
        self._filled = asyncio.Event()
        self._closing = False
        self._behind = False
        self._task: asyncio.Task[None] | None = None

    def put(self, event: Event) -> None:
        if len(self._events) == self._events.maxlen and not self._behind:
            self._behind = True  # log it once
            logger.warning("%r is too slow: events are dropped", self._emitter)
        self._events.append(event)
        self._filled.set()
        if self._task is not None and self._task.done() and not self._closing:
            self.start()  # a user's task cancelled all asyncio tasks of the loop

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="asynctasq-events")

    async def close(self) -> None:
        """Send the remaining events for `PATIENCE` seconds, then end."""
        if self._task is None:
            return
        self._closing = True
        self._filled.set()
        if self._task.done():  # asyncio.run cancels every task before this runs
            self.start()
        try:
            await asyncio.wait([self._task], timeout=PATIENCE)
        finally:
            if not self._task.done():
                logger.warning("%r is too slow: not all events were emitted", self._emitter)
                self._task.cancel()
                await asyncio.wait([self._task], timeout=PATIENCE)  # an emitter may ignore it

    async def _run(self) -> None:
        while self._events or not self._closing:
            await self._filled.wait()
            self._filled.clear()
            while self._events:
                await self._send(self._events.popleft())
        if isinstance(self._emitter, ClosingEmitter):
            await self._guarded(self._emitter.close)

    async def _send(self, event: Event) -> None:
        try:
            await self._guarded(self._emitter.emit, event)
        except asyncio.CancelledError:
            self._events.appendleft(event)  # `close` may still send it
            raise

    async def _guarded(self, call: Callable[..., Awaitable[None]], *values: Event) -> None:
        try:
            await call(*values)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            logger.warning("%r cancelled itself", self._emitter)
        except Exception:  # an emitter is the user's code, and must not affect tasks
            logger.warning("%r failed", self._emitter, exc_info=True)
