"""The bare client, aio-pika: half of what it prefetches is acknowledged in one go."""

from itertools import count

from aio_pika.abc import AbstractIncomingMessage
from aio_pika_any import measure, run
from common import CONCURRENCY

BATCH = CONCURRENCY // 2
number = count(1)


async def run_and_acknowledge(message: AbstractIncomingMessage) -> None:
    run(message)
    if next(number) % BATCH == 0:
        await message.ack(multiple=True)


measure(run_and_acknowledge)
