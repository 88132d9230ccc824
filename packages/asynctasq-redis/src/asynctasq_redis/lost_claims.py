"""Claims whose answers were lost: the server may have carried them out all the same.

What such a claim took would be held by nobody until its lease ends, and count an attempt. So
before the next claims its token is looked for among the leases, a few times, and what has it is
released: the receipt contains the token, and nobody else has that receipt.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq.errors import BrokerError
from asynctasq_redis.messages import delivered, microseconds, settle_calls
from asynctasq_redis.names import Keys
from asynctasq_redis.scripts import Call

#: Seconds between looks: a server that stalls, or a network, may carry a claim out late.
PAUSES = (1.0, 4.0, 10.0)
#: Seconds that a look may take.
LOOK_LIMIT = 5.0
#: Most claims that are looked for; what more of them took comes back when its lease ends.
MOST = 100
#: Seconds by which clocks may differ in what they count.
SLACK = 1.0

Replies = Callable[[Sequence[Call]], Awaitable[list[object]]]


@dataclass(slots=True, eq=False)
class LostClaim:
    """A claim without an answer, sent at `sent` by our clock; `lease` in microseconds."""

    token: str
    queues: Sequence[str]
    lease: int
    sent: float
    looks: int = 0
    next_look: float = 0.0


class LostClaims:
    """Remembers lost claims, and releases what they took."""

    def __init__(self, keys: Keys, replies: Replies) -> None:
        self._keys = keys
        self._replies = replies
        self._claims: list[LostClaim] = []

    def note(self, claim: LostClaim) -> None:
        """Look for what `claim` took before the next claims."""
        if len(self._claims) < MOST:
            self._claims.append(claim)

    async def release(self) -> None:
        """Release what is found; without a lost claim this costs nothing, and it never raises."""
        now = time.monotonic()
        due = [claim for claim in self._claims if claim.next_look <= now]
        if not due:
            return
        for claim in due:
            claim.next_look = now + PAUSES[0]
        # it is tried again, and where it fails for good the leases end
        with suppress(BrokerError, TimeoutError):
            async with asyncio.timeout(LOOK_LIMIT):
                await self._look_for(due)

    async def _look_for(self, claims: Sequence[LostClaim]) -> None:
        by_queue: defaultdict[str, list[LostClaim]] = defaultdict(list)
        for claim in claims:
            for queue in claim.queues:
                by_queue[queue].append(claim)
        calls = [self._call(queue, lost) for queue, lost in by_queue.items()]
        replies = dict(zip(by_queue, await self._replies(calls), strict=True))
        for claim in claims:
            self._count(claim, [replies[queue] for queue in claim.queues])
        await self._settle(replies)

    def _call(self, queue: str, claims: Iterable[LostClaim]) -> Call:
        begin = min(claim.lease - microseconds(_since(claim)) for claim in claims)
        tokens = [claim.token for claim in claims]
        return Call("lost", self._keys.of("lost", queue), [begin, *tokens])

    def _count(self, claim: LostClaim, replies: Sequence[object]) -> None:
        if any(isinstance(reply, BrokerError) for reply in replies):
            return
        if claim.looks == len(PAUSES):
            self._claims.remove(claim)
        else:
            claim.next_look = time.monotonic() + PAUSES[claim.looks]
            claim.looks += 1

    async def _settle(self, replies: Mapping[str, object]) -> None:
        found = [
            delivery
            for queue, reply in replies.items()
            if not isinstance(reply, BrokerError)
            for delivery in _found(queue, cast("Sequence[Sequence[bytes]]", reply))
        ]
        items = [Settlement(delivery, Outcome.RELEASE) for delivery in found]
        if items:
            await self._replies([call for call, _ in settle_calls(self._keys, items)])


def _since(claim: LostClaim) -> float:
    return time.monotonic() - claim.sent + SLACK


def _found(queue: str, reply: Sequence[Sequence[bytes]]) -> Sequence[Delivery]:
    ids, receipts = reply
    return delivered(queue, ids, receipts, [b""] * len(ids))
