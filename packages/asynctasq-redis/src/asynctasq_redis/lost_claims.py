"""Releases messages of lost claims: claims whose reply never arrived.

The server may have executed such a claim; its messages would wait for the end of their lease, with
an attempt counted. So before later claims the leases are searched for its token, a few times, and
messages whose receipt contains it are released. No other claim has that token.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from asynctasq.drivers import Delivery
from asynctasq.errors import BrokerError
from asynctasq_redis.messages import delivered, microseconds
from asynctasq_redis.names import Keys
from asynctasq_redis.scripts import Call
from asynctasq_redis.settle import release_calls

#: Seconds between searches: a stalled server or network may execute a claim late.
PAUSES = (1.0, 4.0, 10.0)
#: Time limit of a search in seconds.
SEARCH_LIMIT = 5.0
#: Most claims to search for; messages of further claims are redelivered when their leases end.
MAX_CLAIMS = 100
#: Seconds by which the client's and the server's clocks may drift apart during a claim.
SLACK = 1.0

Replies = Callable[[Sequence[Call]], Awaitable[list[object]]]


@dataclass(slots=True, eq=False)
class LostClaim:
    """A claim without a reply; `sent` is monotonic time in seconds, `lease` in microseconds."""

    token: str
    queues: Sequence[str]
    lease: int
    sent: float
    searches: int = 0
    next_search: float = 0.0


class LostClaims:
    """Records lost claims, and releases their messages."""

    def __init__(self, keys: Keys, replies: Replies) -> None:
        self._keys = keys
        self._replies = replies
        self._claims: list[LostClaim] = []

    def note(self, claim: LostClaim) -> None:
        """Record a claim to search for before later claims."""
        if len(self._claims) < MAX_CLAIMS:
            self._claims.append(claim)

    async def release(self) -> None:
        """Release messages of lost claims; without any this costs nothing. Never raises."""
        now = time.monotonic()
        due = [claim for claim in self._claims if claim.next_search <= now]
        if not due:
            return
        for claim in due:
            claim.next_search = now + PAUSES[0]
        # a failed search is repeated, and in the end the leases expire
        with suppress(BrokerError, TimeoutError):
            async with asyncio.timeout(SEARCH_LIMIT):
                await self._search(due)

    async def _search(self, claims: Sequence[LostClaim]) -> None:
        by_queue: defaultdict[str, list[LostClaim]] = defaultdict(list)
        for claim in claims:
            for queue in claim.queues:
                by_queue[queue].append(claim)
        calls = [self._call(queue, lost) for queue, lost in by_queue.items()]
        replies = dict(zip(by_queue, await self._replies(calls), strict=True))
        for claim in claims:
            self._count(claim, [replies[queue] for queue in claim.queues])
        await self._release(replies)

    def _call(self, queue: str, claims: Iterable[LostClaim]) -> Call:
        begin = min(claim.lease - microseconds(_since(claim)) for claim in claims)
        tokens = [claim.token for claim in claims]
        return Call("lost", self._keys.of("lost", queue), [begin, *tokens])

    def _count(self, claim: LostClaim, replies: Sequence[object]) -> None:
        if any(isinstance(reply, BrokerError) for reply in replies):
            return
        if claim.searches == len(PAUSES):
            self._claims.remove(claim)
        else:
            claim.next_search = time.monotonic() + PAUSES[claim.searches]
            claim.searches += 1

    async def _release(self, replies: Mapping[str, object]) -> None:
        found = [
            delivery
            for queue, reply in replies.items()
            if not isinstance(reply, BrokerError)
            for delivery in _found(queue, cast("Sequence[Sequence[bytes]]", reply))
        ]
        if found:
            await self._replies(release_calls(self._keys, found))


def _since(claim: LostClaim) -> float:
    return time.monotonic() - claim.sent + SLACK


def _found(queue: str, reply: Sequence[Sequence[bytes]]) -> Sequence[Delivery]:
    ids, receipts = reply
    return delivered(queue, ids, receipts, [b""] * len(ids))
