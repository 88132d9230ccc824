"""The producer of this process: one configuration, and a dispatcher for each event loop."""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from asynctasq.config import Config
from asynctasq.core.driver_factory import DriverFactory
from asynctasq.core.producer.dispatcher import Dispatcher
from asynctasq.core.producer.message_builder import MessageBuilder, enqueued, handles
from asynctasq.core.producer.portal import Portal
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.errors import ConfigError
from asynctasq.events.records import TaskEnqueued
from asynctasq.events.stream import EventEmitter, EventStream
from asynctasq.serialization.envelope import codec_of
from asynctasq.serialization.msgpack import MsgpackSerializer
from asynctasq.serialization.serializer import BaseSerializer
from asynctasq.tasks.call import TaskCall, TaskHandle, current_dispatcher, set_default_dispatcher
from asynctasq.tasks.class_task import BaseTask, as_call

Loop = asyncio.AbstractEventLoop


class Client:
    """Dispatches from any event loop, and from synchronous code through a thread of its own."""

    def __init__(self) -> None:
        self._config: Config | None = None
        self._serializer: BaseSerializer = MsgpackSerializer()
        self._make_driver: Callable[[], BaseDriver] | None = None
        self._emitters: Sequence[EventEmitter] = ()
        self._version = 0  # of all of these
        self._dispatchers: WeakKeyDictionary[Loop, tuple[int, Dispatcher]] = WeakKeyDictionary()
        self._closers: WeakKeyDictionary[Loop, AsyncGenerator[None, None]] = WeakKeyDictionary()
        self._portal: Portal | None = None
        self._lock = threading.Lock()

    @property
    def config(self) -> Config:
        """The configuration given to `init`, or the environment's if `init` was not called."""
        if self._config is None:
            self._config = Config()
        return self._config

    @property
    def serializer(self) -> BaseSerializer:
        """Turns calls into bytes."""
        return self._serializer

    def configure(
        self,
        config: Config,
        serializer: BaseSerializer | None = None,
        make_driver: Callable[[], BaseDriver] | None = None,
        emitters: Sequence[EventEmitter] | None = None,
    ) -> None:
        """Uses these from now on; loops that already have a dispatcher get a new one."""
        self._config = config
        self._make_driver = make_driver
        if serializer is not None:
            self._serializer = serializer
        if emitters is not None:
            self._emitters = tuple(emitters)
        self._version += 1

    def make_driver(self) -> BaseDriver:
        """Makes a driver as configured, not connected."""
        make = self._make_driver or partial(DriverFactory.create_from_config, self.config)
        return make()

    async def dispatch(
        self, call: TaskCall[object], *, connection: object | None = None
    ) -> TaskHandle:
        """Stores one call; see `TaskCall.dispatch`."""
        return await (await self._dispatcher()).dispatch(call, connection=connection)

    async def dispatch_many(
        self, calls: Sequence[TaskCall[object]], *, connection: object | None = None
    ) -> list[TaskHandle]:
        """Stores many calls in one round trip."""
        return await (await self._dispatcher()).dispatch_many(calls, connection=connection)

    def dispatch_sync(
        self, call: TaskCall[object], *, connection: object | None = None
    ) -> TaskHandle:
        """Stores one call from synchronous code; blocks until it is stored."""
        if connection is not None:  # in this thread, where the connection belongs
            codec = codec_of(self._serializer, self.config.signing_keys)
            message = MessageBuilder(self.make_driver(), codec, self.config).store_sync(
                call, connection
            )
            if self._emitters:
                self._open_portal().run(partial(self.emit, enqueued(call, message)))
            return handles([call], [message])[0]
        return self._open_portal().run(partial(self.dispatch, call))

    async def emit(self, event: TaskEnqueued) -> None:
        """Emits an event to this process's emitters."""
        (await self._dispatcher()).emit(event)

    async def close(self) -> None:
        """Finishes the dispatcher of this event loop and disconnects it."""
        _, dispatcher = self._dispatchers.pop(asyncio.get_running_loop(), (0, None))
        if dispatcher is not None:
            await dispatcher.close()

    def end_thread(self) -> None:
        """Ends the thread behind `dispatch_sync`, if there is one."""
        if self._portal is not None:
            self._portal.close(self.close)
            self._portal = None

    def forget_threads(self) -> None:
        """Starts anew in a forked child, where threads and connections are the parent's."""
        self._dispatchers = WeakKeyDictionary()
        self._closers = WeakKeyDictionary()
        self._portal = None
        self._lock = threading.Lock()

    def _open_portal(self) -> Portal:
        with self._lock:
            if self._portal is None:
                self._portal = Portal()
            return self._portal

    async def _dispatcher(self) -> Dispatcher:
        loop = asyncio.get_running_loop()
        version, dispatcher = self._dispatchers.get(loop, (0, None))
        if dispatcher is not None and version == self._version:
            return dispatcher
        codec = codec_of(self._serializer, self.config.signing_keys)
        events = EventStream(self._emitters)
        old, dispatcher = dispatcher, Dispatcher(self.make_driver(), codec, self.config, events)
        events.start()
        self._dispatchers[loop] = self._version, dispatcher
        if loop not in self._closers:
            self._closers[loop] = closer = self._close_with_loop(loop)
            await anext(closer)
        if old is not None:
            await old.close()
        return dispatcher

    async def _close_with_loop(self, loop: Loop) -> AsyncGenerator[None, None]:
        """Closes when the loop ends: ``asyncio.run`` finishes asynchronous generators."""
        try:
            yield
        finally:
            del self._closers[loop]  # it references its loop, and would keep it alive
            await self.close()


client = Client()


def configure_client(
    config: Config, serializer: BaseSerializer, make_driver: Callable[[], BaseDriver]
) -> None:
    """Configure the producer of a worker's child process."""
    client.configure(config, serializer, make_driver)


set_default_dispatcher(client)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=client.forget_threads)


def init(
    config: Config | Mapping[str, object] | None = None,
    /,
    *,
    serializer: BaseSerializer | None = None,
    emitters: Sequence[EventEmitter] | None = None,
    **values: object,
) -> Config:
    """Configure this process's producer, and return the configuration.

    Args:
        config: a `Config`, or a mapping with its names; or give the names as keywords. Missing
            values come from the environment, ``.env`` or ``pyproject.toml``, as they do when
            `init` is never called.
        serializer: how messages are written; `MsgpackSerializer` by default.
        emitters: receive an event for each stored call; see `asynctasq.events`. A worker's own
            receive those of the calls that its tasks dispatch.

    Raises:
        ConfigError: an unknown name or a bad value.
    """
    if isinstance(config, Config):
        if values:
            raise ConfigError("give init() a Config or keywords, not both")
        ready = config
    else:
        ready = Config(**{**(config or {}), **values})
    client.configure(ready, serializer, emitters=emitters)
    return ready


async def dispatch_many(
    calls: Iterable[TaskCall[object] | BaseTask[Any]], *, connection: object | None = None
) -> list[TaskHandle]:
    """Store many calls in one round trip, and return their handles in the same order.

    Args:
        calls: calls of functions, and instances of class tasks.
        connection: as for `TaskCall.dispatch`.

    Raises:
        ConfigError: an item is neither a call nor a class task; nothing was stored.
        EnqueueFailed: only a part was stored; names both parts.
        SerializationError, BrokerUnavailable, BrokerRejected: as for `TaskCall.dispatch`;
            nothing was stored.
    """
    ready = [as_call(item) for item in calls]
    return await current_dispatcher().dispatch_many(ready, connection=connection)


async def close() -> None:
    """Disconnect this event loop's producer; happens by itself when ``asyncio.run`` ends."""
    await client.close()


atexit.register(client.end_thread)
