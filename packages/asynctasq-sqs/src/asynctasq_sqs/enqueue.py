"""Enqueues messages: checks them, and sends those of each queue in the order of their delays."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Sequence

from asynctasq.drivers import Message
from asynctasq.drivers.enqueue_checks import check_delay, raise_failed
from asynctasq.errors import BrokerRejected
from asynctasq_sqs.messages import Content, check_size
from asynctasq_sqs.names import is_fifo
from asynctasq_sqs.sender import Sender


def check(messages: Sequence[Message], longest_delay: float) -> None:
    """Raise `BrokerRejected` unless all of `messages` can be stored."""
    for message in messages:
        check_delay(message.id, message.delay, longest=longest_delay)
        if message.delay and is_fifo(message.queue):
            raise BrokerRejected(
                f"message {message.id:.80} has a delay of {message.delay} seconds;"
                f" the FIFO queue {message.queue} delays no single message"
            )
        check_size(Content(message.id, message.body, delay=math.ceil(message.delay)))


async def enqueue(sender: Sender, messages: Sequence[Message]) -> None:
    """Send messages; raises `EnqueueFailed` if some of them are not stored."""
    by_queue: defaultdict[str, list[Message]] = defaultdict(list)
    # shorter delays first: SQS counts whole seconds, and often keeps the order of sending
    for message in sorted(messages, key=lambda message: message.delay):
        by_queue[message.queue].append(message)
    results = await asyncio.gather(
        *(sender.send(queue, _contents(group)) for queue, group in by_queue.items())
    )
    raise_failed(
        (message.id, error)
        for group, errors in zip(by_queue.values(), results, strict=True)
        for message, error in zip(group, errors, strict=True)
    )


def _contents(messages: Sequence[Message]) -> list[Content]:
    return [Content(message.id, message.body, delay=message.delay) for message in messages]
