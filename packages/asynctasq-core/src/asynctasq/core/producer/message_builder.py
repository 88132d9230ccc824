"""Builds the message for a call, and stores it in a caller's transaction."""

import time
from collections.abc import Sequence

from asynctasq.config import Config
from asynctasq.core.execution.tracing import Headers, current_tracing
from asynctasq.core.producer.message_id import new_message_id
from asynctasq.drivers.base_driver import BaseDriver, Message
from asynctasq.drivers.capabilities.transactional_enqueue import TransactionalEnqueue
from asynctasq.errors import BrokerRejected
from asynctasq.events.records import TaskEnqueued
from asynctasq.serialization.envelope import Envelope, EnvelopeCodec
from asynctasq.tasks.call import TaskCall, TaskHandle
from asynctasq.tasks.context import current_context, running_task

_NO_HEADERS: Headers = {}


class MessageBuilder:
    """Builds messages for a driver, which need not be connected."""

    def __init__(self, driver: BaseDriver, codec: EnvelopeCodec, config: Config) -> None:
        self.driver = driver
        self._codec = codec
        self._config = config

    def build(self, call: TaskCall[object], headers: Headers = _NO_HEADERS) -> Message:
        """Returns the message for a call, with `headers` in its envelope.

        Raises `SerializationError` for an argument that cannot be serialized, `BrokerRejected`
        when the message is over the broker's limit.
        """
        options = call.options
        envelope = Envelope(
            task=call.definition.name,
            args=call.args,
            kwargs=call.kwargs,
            max_attempts=options.max_attempts,
            retry_delay=options.retry_delay,
            timeout=options.timeout,
            enqueued_at=time.time(),
            correlation_id=_correlation(call),
            headers=headers,
        )
        body = self._codec.encode(envelope)
        if len(body) > self.driver.limits.max_body:
            raise BrokerRejected(
                f"{envelope.task}: a message of {len(body)} bytes is over the broker's limit of "
                f"{self.driver.limits.max_body}; store the data elsewhere and send its address"
            )
        queue = options.queue or call.definition.options.queue or self._config.default_queue
        return Message(new_message_id(), queue, body, options.delay)

    def store_sync(self, call: TaskCall[object], connection: object) -> Message:
        """Stores a call over a synchronous connection; returns the stored message."""
        tracing = current_tracing()
        if tracing is None:
            message = self.build(call)
            self.transactional.enqueue_on_sync(connection, [message])
            return message
        with tracing.sending([call]) as sending:
            message = self.build(call, sending.headers)
            sending.built([message])
            self.transactional.enqueue_on_sync(connection, [message])
        return message

    @property
    def transactional(self) -> TransactionalEnqueue:
        """The driver as one that stores in a caller's transaction; raises `BrokerRejected`."""
        if not isinstance(self.driver, TransactionalEnqueue):
            raise BrokerRejected(
                f"the {self._config.driver} driver cannot enqueue inside a database transaction; "
                "omit connection= and dispatch after the commit"
            )
        return self.driver


def handles(calls: Sequence[TaskCall[object]], messages: Sequence[Message]) -> list[TaskHandle]:
    """Returns the handles of dispatched calls."""
    return [
        TaskHandle(message.id, call.definition.name, message.queue)
        for message, call in zip(messages, calls, strict=True)
    ]


def enqueued(call: TaskCall[object], message: Message) -> TaskEnqueued:
    """Returns the event for a stored call."""
    return TaskEnqueued(
        time=time.time(),
        task_id=message.id,
        name=call.definition.name,
        queue=message.queue,
        correlation_id=_correlation(call),
        delay=message.delay,
    )


def _correlation(call: TaskCall[object]) -> str | None:
    """Returns the call's own correlation id, else that of the running task, else its id."""
    if call.options.correlation_id or running_task.get(None) is None:
        return call.options.correlation_id
    context = current_context()
    return context.correlation_id or context.id
