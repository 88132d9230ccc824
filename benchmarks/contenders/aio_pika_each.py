"""The bare client, aio-pika: each message is acknowledged on its own."""

from aio_pika.abc import AbstractIncomingMessage
from aio_pika_any import measure, run


async def run_and_acknowledge(message: AbstractIncomingMessage) -> None:
    run(message)
    await message.ack()


measure(run_and_acknowledge)
