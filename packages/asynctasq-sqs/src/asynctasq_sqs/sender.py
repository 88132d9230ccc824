"""Sends messages, in batches of ten."""

import asyncio
from collections.abc import Sequence

from asynctasq.errors import BrokerError
from asynctasq_sqs.client import Client, Entry
from asynctasq_sqs.errors import NoSuchQueue
from asynctasq_sqs.messages import Content, batches
from asynctasq_sqs.names import is_fifo
from asynctasq_sqs.queues import Queues
from asynctasq_sqs.settings import SQSSettings

#: Up to this number, batches are sent one after the other, which keeps their order.
IN_ORDER = 3

Result = list[BrokerError | None]


class Sender:
    """Sends to queues and to dead-letter queues."""

    def __init__(self, client: Client, queues: Queues, settings: SQSSettings) -> None:
        self._client = client
        self._queues = queues
        self._group = "" if settings.sqs_message_group == "message" else "asynctasq"

    async def send(self, queue: str, contents: Sequence[Content], *, dead: bool = False) -> Result:
        """Send contents; return the error of each, None if it is stored."""
        group = self._group if is_fifo(queue) else None
        parts = list(batches(contents, group=group))
        if group is None and len(parts) > IN_ORDER:
            sends = (self._send(queue, entries, dead) for _, entries in parts)
            results = await asyncio.gather(*sends)
            return [error for result in results for error in result]
        errors: Result = []
        for _, entries in parts:
            if errors and isinstance(errors[-1], BrokerError):  # later messages must not overtake
                errors += [errors[-1]] * len(entries)
            else:
                errors += await self._send(queue, entries, dead)
        return errors

    async def _send(self, queue: str, entries: Sequence[Entry], dead: bool) -> Result:
        async def send(url: str) -> Result:
            errors = await self._client.batch("send_message_batch", url, entries)
            if isinstance(errors[0], NoSuchQueue):
                raise errors[0]
            return errors

        on = self._queues.on_dead if dead else self._queues.on
        try:
            return await on(queue, send)
        except BrokerError as error:
            return [error] * len(entries)
