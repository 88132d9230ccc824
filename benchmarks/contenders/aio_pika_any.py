"""The bare client, aio-pika, whatever its acknowledgements."""

import asyncio
from collections.abc import Awaitable, Callable

import aio_pika
import floor
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from common import CONCURRENCY, NAME, URL, Moments, by_hundreds, main

Run = Callable[[AbstractIncomingMessage], Awaitable[None]]


async def open_channel() -> AbstractChannel:
    connection = await aio_pika.connect(URL)
    channel = await connection.channel()
    await channel.declare_queue(NAME, durable=True, arguments={"x-queue-type": "quorum"})
    return channel


async def put(channel: AbstractChannel, body: bytes) -> None:
    message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await channel.default_exchange.publish(message, routing_key=NAME)


async def enqueue(count: int) -> None:
    channel = await open_channel()
    await by_hundreds(count, lambda: put(channel, floor.NOOP))


async def send(moments: Moments) -> None:
    channel = await open_channel()
    async for sent in moments:
        await put(channel, floor.SENT.pack(sent))


def run(message: AbstractIncomingMessage) -> None:
    floor.count(message.body)


def measure(run_and_acknowledge: Run) -> None:
    """Do what the command line says, and acknowledge so."""

    async def work() -> None:
        channel = await open_channel()
        await channel.set_qos(prefetch_count=CONCURRENCY)
        queue = await channel.get_queue(NAME)
        await queue.consume(run_and_acknowledge)
        await asyncio.Event().wait()

    main(enqueue, send, work)
