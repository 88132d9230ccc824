"""Stores calls in batches: one driver, one event loop, round trips shared by all callers."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from asynctasq.config import Config
from asynctasq.core.execution.cancellation import was_cancelled
from asynctasq.core.execution.tracing import current_tracing
from asynctasq.core.producer.group_commit import GroupCommit
from asynctasq.core.producer.handover import Handover
from asynctasq.core.producer.message_builder import MessageBuilder, enqueued, handles
from asynctasq.drivers.base_driver import BaseDriver, Message
from asynctasq.errors import BrokerRejected, BrokerUnavailable, EnqueueFailed, TaskError
from asynctasq.events.records import TaskEnqueued
from asynctasq.events.stream import EventStream
from asynctasq.serialization.envelope import EnvelopeCodec
from asynctasq.tasks.call import TaskCall, TaskHandle

logger = logging.getLogger("asynctasq")

BATCH = 500
#: Seconds that what is under way may take at the end, and disconnecting after it.
CLOSE_LIMIT = 5.0


@dataclass(frozen=True, slots=True)
class _Order:
    """The messages of one caller, and a future that is resolved when they are stored."""

    messages: Sequence[Message]
    stored: "asyncio.Future[None]"


class Dispatcher:
    """Dispatches calls through `driver`; connects on the first call.

    A call is durable in the broker when `dispatch` returns. Calls that are dispatched while a
    round trip is under way share the next one. It belongs to the event loop on which it was
    made: calls from other loops and threads are stored there.

    Args:
        events: receives an event for each stored call; `close` ends it.
    """

    def __init__(
        self, driver: BaseDriver, codec: EnvelopeCodec, config: Config, events: EventStream
    ) -> None:
        self._driver = driver
        self._events = events
        self._builder = MessageBuilder(driver, codec, config)
        self._loop = asyncio.get_running_loop()
        self._orders: GroupCommit[_Order] = GroupCommit(self._commit, limit=BATCH)

    async def dispatch(
        self, call: TaskCall[object], *, connection: object | None = None
    ) -> TaskHandle:
        """Stores one call; see `TaskCall.dispatch`."""
        return (await self.dispatch_many([call], connection=connection))[0]

    async def dispatch_many(
        self, calls: Sequence[TaskCall[object]], *, connection: object | None = None
    ) -> list[TaskHandle]:
        """Stores many calls in one round trip; all or, with `EnqueueFailed`, a part of them."""
        if connection is None and asyncio.get_running_loop() is not self._loop:
            return await Handover(partial(self._send, calls), self._loop).result()
        return await self._send(calls, connection)

    def dispatch_sync(
        self, call: TaskCall[object], *, connection: object | None = None
    ) -> TaskHandle:
        """Stores one call from another thread than the event loop's."""
        if connection is not None:
            message = self._builder.store_sync(call, connection)
            if self._events:
                self._emit_threadsafe(enqueued(call, message))
            return handles([call], [message])[0]
        if _running_loop() is self._loop:
            raise TaskError("dispatch_sync() would block this event loop: await dispatch() instead")
        return Handover(partial(self.dispatch, call), self._loop).wait()

    def emit(self, event: TaskEnqueued) -> None:
        """Emits an event; must be called on its event loop."""
        self._events.emit(lambda: event)

    async def flush(self, timeout: float = CLOSE_LIMIT) -> None:
        """Finishes what is under way within `timeout` seconds.

        For a call that is not stored by then, `dispatch` raises `BrokerUnavailable`.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._orders.flush()
        except TimeoutError:
            error = BrokerUnavailable(f"the broker did not answer within {timeout:g} s at the end")
            for order in await self._orders.stop():
                _resolve(order, error)

    async def close(self, timeout: float = CLOSE_LIMIT) -> None:
        """Finishes what is under way, as `flush`, and disconnects within `timeout` seconds more."""
        try:
            await self.flush(timeout)
            async with asyncio.timeout(timeout):
                await self._driver.disconnect()
        except TimeoutError:
            logger.warning("the %s did not disconnect", type(self._driver).__name__)
        finally:
            await self._events.close()

    async def _send(
        self, calls: Sequence[TaskCall[object]], connection: object | None = None
    ) -> list[TaskHandle]:
        tracing = current_tracing()
        if tracing is None or not calls:
            messages = [self._builder.build(call) for call in calls]
            return await self._store(calls, messages, connection)
        with tracing.sending(calls) as sending:
            messages = [self._builder.build(call, sending.headers) for call in calls]
            sending.built(messages)
            return await self._store(calls, messages, connection)

    async def _store(
        self,
        calls: Sequence[TaskCall[object]],
        messages: Sequence[Message],
        connection: object | None,
    ) -> list[TaskHandle]:
        if not messages:
            return []
        if connection is not None:
            await self._builder.transactional.enqueue_on(connection, messages)
        else:
            order = _Order(messages, self._loop.create_future())
            self._orders.add(order)
            try:
                await order.stored
            except EnqueueFailed as error:
                await self._emit_stored(calls, messages, but={*error.rejected})
                raise
        await self._emit_stored(calls, messages)
        return handles(calls, messages)

    async def _emit_stored(
        self,
        calls: Sequence[TaskCall[object]],
        messages: Sequence[Message],
        but: Collection[str] = (),
    ) -> None:
        if not self._events:
            return
        for number, (call, message) in enumerate(zip(calls, messages, strict=True), 1):
            if message.id not in but:
                self._emit_threadsafe(enqueued(call, message))
            if number % BATCH == 0:  # let emitters follow, before their buffers are full
                await asyncio.sleep(0)

    def _emit_threadsafe(self, event: TaskEnqueued) -> None:
        if _running_loop() is self._loop:
            self.emit(event)
        else:
            with suppress(RuntimeError):  # its loop is closed
                self._loop.call_soon_threadsafe(self.emit, event)

    async def _commit(self, orders: Sequence[_Order]) -> None:
        """Stores the messages of `orders`, and resolves each order, whatever happens."""
        # an interrupted batch is committed again, with its resolved orders
        waiting = [order for order in orders if not _is_resolved(order)]
        try:
            await self._enqueue(waiting)
        except GeneratorExit:  # the loop is gone, and the callers with it
            raise
        except BaseException as error:  # each caller gets it
            if was_cancelled(error):  # by the end of the program, which may wait for this
                raise
            for order in waiting:
                _resolve(order, _as_exception(error))
            if isinstance(error, (SystemExit, KeyboardInterrupt)):
                raise

    async def _enqueue(self, orders: Sequence[_Order]) -> None:
        if not orders:
            return
        try:
            await self._driver.connect()
            await self._driver.enqueue([m for order in orders for m in order.messages])
        except BrokerRejected as error:
            await self._resolve_rejected(orders, error)
        except EnqueueFailed as error:
            for order in orders:
                _resolve_part(order, error)
        else:
            for order in orders:
                _resolve(order)

    async def _resolve_rejected(self, orders: Sequence[_Order], error: BrokerRejected) -> None:
        if len(orders) == 1:
            return _resolve(orders[0], error)
        for order in orders:  # one caller's message must not fail the others
            await self._commit([order])
        return None


def _is_resolved(order: _Order) -> bool:
    return order.stored.done() and not order.stored.cancelled()


def _as_exception(error: BaseException) -> Exception:
    """The exception for a future: a driver's SystemExit must not end the callers."""
    if isinstance(error, Exception):
        return error
    return BrokerUnavailable(f"storing was interrupted by {error!r}")


def _resolve(order: _Order, error: Exception | None = None) -> None:
    if order.stored.done():  # its caller was cancelled
        return
    if error is None:
        order.stored.set_result(None)
    else:
        order.stored.set_exception(error)


def _resolve_part(order: _Order, error: EnqueueFailed) -> None:
    mine = {message.id for message in order.messages}
    rejected = mine.difference(error.accepted)  # also those that the driver does not mention
    accepted = [message_id for message_id in error.accepted if message_id in mine]
    failed = EnqueueFailed(str(error), accepted=accepted, rejected=sorted(rejected))
    _resolve(order, failed if rejected else None)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
