"""A RabbitMQ that runs already: queues of a measurement's own on it, deleted in the end."""

import asyncio
import os
import secrets
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractConnection

from asynctasq.settings import mask_url
from benchmarks.environments import Leaves
from benchmarks.processes import Listener

VARIABLE = "ASYNCTASQ_TEST_RABBITMQ_URL"
DEFAULT = "amqp://guest:guest@localhost:5672/"
#: Seconds for the server to answer: out of file handles, it accepts connections and says nothing.
PATIENCE = 30.0


class RabbitMQServer:
    """The server at ``ASYNCTASQ_TEST_RABBITMQ_URL``; `leaves` is what to delete on it."""

    def __init__(self, leaves: Leaves) -> None:
        self.url = os.environ.get(VARIABLE, DEFAULT)
        self.name = f"benchmark-{secrets.token_hex(4)}"
        self._leaves = leaves
        self._listener = Listener(urlsplit(self.url).port or 5672)
        asyncio.run(self._check())

    def cpu(self) -> float | None:
        """Processor seconds of the server's process, whoever caused them; None if not seen."""
        return self._listener.cpu()

    def count_commands(self, seconds: float, worker: int) -> int | None:
        """Packets with data that `worker` sends to the server: a method or heartbeat each."""
        return self._listener.count_packets(seconds, worker)

    def close(self) -> None:
        """Delete all of the measurement's."""
        asyncio.run(self._delete())

    async def _check(self) -> None:
        try:
            await (await self._connect()).close()
        except OSError as error:
            raise SystemExit(
                f"no RabbitMQ at {mask_url(self.url)}: {error!r}; set {VARIABLE}"
            ) from None

    async def _connect(self) -> AbstractConnection:
        return await aio_pika.connect(self.url, timeout=PATIENCE)

    async def _delete(self) -> None:
        async with asyncio.timeout(PATIENCE), await self._connect() as connection:
            channel = await connection.channel()
            for suffix in self._leaves.queues:
                await channel.queue_delete(self.name + suffix)
            for suffix in self._leaves.exchanges:
                await channel.exchange_delete(self.name + suffix)
