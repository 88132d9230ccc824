"""Takes calls to the broker: one driver, one event loop, round trips shared by all callers."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from asynctasq.config import Config
from asynctasq.core.group_commit import GroupCommit
from asynctasq.core.message_id import new_message_id
from asynctasq.drivers.base_driver import BaseDriver, Message
from asynctasq.errors import BrokerRejected, EnqueueFailed, TaskError
from asynctasq.serialization.envelope import Envelope, EnvelopeCodec
from asynctasq.tasks.call import TaskCall, TaskHandle
from asynctasq.tasks.context import current_context, running_task

BATCH = 500


@dataclass(frozen=True, slots=True)
class _Order:
    """Messages of one caller, and the future that tells it."""

    messages: Sequence[Message]
    stored: "asyncio.Future[None]"


class Dispatcher:
    """Dispatches calls through `driver`; connects when the first comes.

    A call is durable in the broker when `dispatch` returns. Calls that are dispatched while a
    round trip is under way share the next one.
    """

    def __init__(self, driver: BaseDriver, codec: EnvelopeCodec, config: Config) -> None:
        self._driver = driver
        self._codec = codec
        self._default_queue = config.default_queue
        self._loop = asyncio.get_running_loop()
        self._orders: GroupCommit[_Order] = GroupCommit(self._commit, limit=BATCH)

    async def dispatch(self, call: TaskCall[object]) -> TaskHandle:
        """Store one call; see `TaskCall.dispatch`."""
        return (await self.dispatch_many([call]))[0]

    async def dispatch_many(self, calls: Sequence[TaskCall[object]]) -> list[TaskHandle]:
        """Store many calls in one round trip; all or, with `EnqueueFailed`, a part of them."""
        messages = [self._message(call) for call in calls]
        if messages:
            order = _Order(messages, self._loop.create_future())
            self._orders.add(order)
            await order.stored
        return [
            TaskHandle(message.id, call.definition.name, message.queue)
            for message, call in zip(messages, calls, strict=True)
        ]

    def dispatch_sync(self, call: TaskCall[object]) -> TaskHandle:
        """Store one call from another thread than the event loop's."""
        if _running_loop() is self._loop:
            raise TaskError("dispatch_sync() would block this event loop: await dispatch() instead")
        return asyncio.run_coroutine_threadsafe(self.dispatch(call), self._loop).result()

    async def flush(self) -> None:
        """Finish what is under way."""
        await self._orders.flush()

    async def close(self) -> None:
        """Finish what is under way and disconnect."""
        await self.flush()
        await self._driver.disconnect()

    def _message(self, call: TaskCall[object]) -> Message:
        options = call.options
        envelope = Envelope(
            task=call.definition.name,
            args=call.args,
            kwargs=call.kwargs,
            max_attempts=options.max_attempts,
            retry_delay=options.retry_delay,
            timeout=options.timeout,
            enqueued_at=time.time(),
            correlation_id=options.correlation_id or _inherited_correlation(),
        )
        body = self._codec.encode(envelope)
        if len(body) > self._driver.limits.max_body:
            raise BrokerRejected(
                f"{envelope.task}: a message of {len(body)} bytes is over the broker's limit of "
                f"{self._driver.limits.max_body}; store the data elsewhere and send its address"
            )
        queue = options.queue or call.definition.options.queue or self._default_queue
        return Message(new_message_id(), queue, body, options.delay)

    async def _commit(self, orders: Sequence[_Order]) -> None:
        try:
            await self._driver.connect()
            await self._driver.enqueue([m for order in orders for m in order.messages])
        except BrokerRejected as error:
            await self._tell_rejected(orders, error)
        except EnqueueFailed as error:
            for order in orders:
                _tell_part(order, error)
        except Exception as error:  # noqa: BLE001 - for the callers to know, not for this loop
            for order in orders:
                _tell(order, error)
        else:
            for order in orders:
                _tell(order)

    async def _tell_rejected(self, orders: Sequence[_Order], error: BrokerRejected) -> None:
        if len(orders) == 1:
            return _tell(orders[0], error)
        for order in orders:  # one caller's message must not fail the others
            await self._commit([order])
        return None


def _tell(order: _Order, error: Exception | None = None) -> None:
    if order.stored.done():  # its caller was cancelled
        return
    if error is None:
        order.stored.set_result(None)
    else:
        order.stored.set_exception(error)


def _tell_part(order: _Order, error: EnqueueFailed) -> None:
    mine = {message.id for message in order.messages}
    rejected = mine & set(error.rejected)
    accepted = [message_id for message_id in error.accepted if message_id in mine]
    failed = EnqueueFailed(str(error), accepted=accepted, rejected=sorted(rejected))
    _tell(order, failed if rejected else None)


def _inherited_correlation() -> str | None:
    if running_task.get(None) is None:
        return None
    context = current_context()
    return context.correlation_id or context.id


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
