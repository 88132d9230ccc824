"""Looking at the messages of a queue: all are received for a while, and given back."""

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

#: Most messages one look shows.
MOST = 10_000
#: Most polls at once.
WIDTH = 8
#: Seconds for which what is looked at is hidden from others.
HIDDEN = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """A message, and the right to delete it while the look lasts."""

    received: Received
    receipt: Receipt


class Look:
    """``async with Look(session, url) as look``: the messages of a queue, in `look.seen`."""

    def __init__(self, session: Session, url: str) -> None:
        self._session = session
        self._url = url
        self._seen: dict[str, Seen] = {}

    async def __aenter__(self) -> Self:
        """Receive all that is there; what came before a failure is given back."""
        try:
            await self._receive_all()
        except BaseException:
            await self._give_back()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give back what was not deleted."""
        await self._give_back()

    @property
    def seen(self) -> Sequence[Seen]:
        """The latest sent first."""
        return sorted(self._seen.values(), key=lambda one: one.received.order, reverse=True)

    async def delete(self, chosen: Iterable[Seen]) -> None:
        """Delete messages for good; raises what SQS says against it."""
        errors = await self._session.settling.delete([one.receipt for one in chosen])
        self.deleted(one for one in chosen if one.receipt not in errors)
        for error in errors.values():
            raise error

    def deleted(self, gone: Iterable[Seen]) -> None:
        """Take note of messages that are not to be given back."""
        for one in gone:
            self._seen.pop(one.received.key, None)

    async def _receive_all(self) -> None:
        attributes = await self._session.queues.attributes(self._url, "ApproximateNumberOfMessages")
        expected = min(MOST, int(attributes.get("ApproximateNumberOfMessages", 0)))
        while len(self._seen) < MOST:
            missing = expected - len(self._seen)
            # a count lags, and a short poll asks a part of the servers only
            wait = 1 if missing > 0 or not self._seen else 0
            width = max(1, min(WIDTH, math.ceil(missing / TEN)))
            if not sum(await asyncio.gather(*(self._receive(wait) for _ in range(width)))):
                break

    async def _receive(self, wait: int) -> int:
        asked = time.monotonic()
        reply = await self._session.client.poll(
            limit=CALL_LIMIT,
            QueueUrl=self._url,
            MaxNumberOfMessages=TEN,
            VisibilityTimeout=HIDDEN,
            WaitTimeSeconds=wait,
            MessageAttributeNames=[BODY],
            MessageSystemAttributeNames=SYSTEM,
        )
        came = read_all(reply)
        for one in came:
            receipt = Receipt(self._url, one.handle, asked, asked + HIDDEN)
            self._seen[one.key] = Seen(one, receipt)
        return len(came)

    async def _give_back(self) -> None:
        seen, self._seen = list(self._seen.values()), {}
        back = [(one.receipt, 0) for one in seen]
        await self._session.background.run(self._session.settling.hide(back))
