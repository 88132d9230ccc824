"""Shows the messages of a queue: receives all of them, then makes them visible again."""

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from asynctasq_sqs.client import CALL_LIMIT, TEN
from asynctasq_sqs.leases import Receipt
from asynctasq_sqs.messages import BODY, SYSTEM, Received, read_all
from asynctasq_sqs.session import Session

#: Limit of messages of one peek.
LONGEST_PEEK = 10_000
#: Limit of concurrent polls.
WIDTH = 8
#: Seconds for which the messages of a peek are hidden from others.
HIDDEN = 120


@dataclass(frozen=True, slots=True)
class PeekedMessage:
    """A message, and the receipt to delete it by while the peek lasts."""

    received: Received
    receipt: Receipt


class Peek:
    """``async with Peek(session, url) as peek``: the messages of a queue, in `peek.messages`."""

    def __init__(self, session: Session, url: str) -> None:
        self._session = session
        self._url = url
        self._messages: dict[str, PeekedMessage] = {}

    async def __aenter__(self) -> Self:
        """Receive all messages; after a failure those received so far become visible again."""
        try:
            await self._receive_all()
        except BaseException:  # given back, and raised again
            await self._give_back()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Make messages that were not deleted visible again."""
        await self._give_back()

    @property
    def messages(self) -> Sequence[PeekedMessage]:
        """The messages, latest first."""
        return sorted(
            self._messages.values(), key=lambda message: message.received.order, reverse=True
        )

    async def delete(self, chosen: Iterable[PeekedMessage]) -> None:
        """Delete messages; raises the first error of SQS."""
        errors = await self._session.settler.delete([message.receipt for message in chosen])
        self.deleted(message for message in chosen if message.receipt not in errors)
        for error in errors.values():
            raise error

    def deleted(self, gone: Iterable[PeekedMessage]) -> None:
        """Remove deleted messages from the peek."""
        for message in gone:
            self._messages.pop(message.received.key, None)

    async def _receive_all(self) -> None:
        attributes = await self._session.queues.attributes(self._url, "ApproximateNumberOfMessages")
        expected = min(LONGEST_PEEK, int(attributes.get("ApproximateNumberOfMessages", 0)))
        while len(self._messages) < LONGEST_PEEK:
            missing = expected - len(self._messages)
            # the count lags, and a short poll samples a part of the servers
            wait = 1 if missing > 0 or not self._messages else 0
            width = max(1, min(WIDTH, math.ceil(missing / TEN)))
            if not sum(await asyncio.gather(*(self._receive(wait) for _ in range(width)))):
                break

    async def _receive(self, wait: int) -> int:
        started = time.monotonic()
        reply = await self._session.client.poll(
            limit=CALL_LIMIT,
            QueueUrl=self._url,
            MaxNumberOfMessages=TEN,
            VisibilityTimeout=HIDDEN,
            WaitTimeSeconds=wait,
            MessageAttributeNames=[BODY],
            MessageSystemAttributeNames=SYSTEM,
        )
        received = read_all(reply)
        for message in received:
            receipt = Receipt(self._url, message.handle, started, started + HIDDEN)
            self._messages[message.key] = PeekedMessage(message, receipt)
        return len(received)

    async def _give_back(self) -> None:
        messages, self._messages = list(self._messages.values()), {}
        back = [(message.receipt, 0) for message in messages]
        await self._session.background.run(self._session.settler.hide(back))
