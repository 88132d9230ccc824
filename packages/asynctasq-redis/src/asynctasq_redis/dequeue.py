"""Taking messages, and waiting for some."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from redis.exceptions import ResponseError

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_redis.errors import is_answer, translate_errors, translated
from asynctasq_redis.lost_claims import LostClaim
from asynctasq_redis.messages import delivered, settle_calls
from asynctasq_redis.scripts import Call
from asynctasq_redis.session import Session

#: Shorter waits than this are ended from here: a server is a tenth of a second late.
EXACT_BELOW = 1.0
#: Seconds that the other groups of queues may take when one has given messages; at most a third of
#: their lease.
OTHERS_LIMIT = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """What a dequeue asks for; `lease` in microseconds."""

    queues: Sequence[str]
    limit: int
    lease: int


@dataclass(slots=True)
class Claim:
    """What was taken, and the seconds until there is more, None if nothing is to come."""

    deliveries: list[Delivery] = field(default_factory=list[Delivery])
    soonest: float | None = None
    failures: dict[Sequence[str], BrokerError] = field(
        default_factory=dict[Sequence[str], BrokerError]
    )

    def add(self, queues: Sequence[str], reply: Sequence[object], location: str) -> None:
        """Add what a reply of ``dequeue`` for `queues` says."""
        soonest, rows = cast(int, reply[0]), reply[1:]
        for i, queue in enumerate(queues):
            self.deliveries += delivered(queue, *rows[3 * i : 3 * i + 3])
        if failure := rows[3 * len(queues) :]:
            position, text = cast(int, failure[0]), cast(bytes, failure[1]).decode()
            self.failures[queues[position - 1],] = translated(ResponseError(text), location)
        if soonest >= 0:
            seconds = soonest / 1_000_000
            self.soonest = seconds if self.soonest is None else min(self.soonest, seconds)


class Fetch:
    """One dequeue."""

    def __init__(self, session: Session, request: Request) -> None:
        self._session = session
        self._request = request

    async def run(self, wait: float) -> list[Delivery]:
        """Take messages, or nothing after `wait` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        woken, failures = False, 0
        while True:
            claim = await self._claim(waits=deadline > loop.time(), woken=woken)
            left = deadline - loop.time()
            if claim.deliveries or (left <= 0 and claim.soonest != 0):
                return claim.deliveries
            if claim.soonest == 0:  # there are only entries of deleted messages so far
                continue
            try:
                woken = await self._wait(claim.soonest, left)
            except BrokerUnavailable:
                failures += 1
                if failures > 1 or self._session.closing:
                    raise
                woken = True
            if not woken and loop.time() >= deadline:
                return []

    async def _claim(self, *, waits: bool, woken: bool) -> Claim:
        self._session.check_open()
        self._session.raise_failure(self._request.queues)
        work = self._take(waits=waits, woken=woken)
        return await self._session.shield.run(work, self._give_back)

    async def _take(self, *, waits: bool, woken: bool) -> Claim:
        await self._session.lost_claims.release()
        claim, deadline = Claim(), None
        for group in self._session.connections.groups(self._request.queues):
            try:
                async with asyncio.timeout_at(deadline):
                    await self._take_from(group, claim, waits=waits, woken=woken)
            except BrokerError as error:
                claim.failures[tuple(group)] = error
            except TimeoutError as error:
                claim.failures[tuple(group)] = translated(error, self._session.location)
            if claim.deliveries and deadline is None:
                deadline = self._others_deadline()
        return self._checked(claim)

    def _checked(self, claim: Claim) -> Claim:
        """The claim, if it has messages or nothing failed; what failed is raised next time."""
        for queues, error in claim.failures.items():
            if not claim.deliveries:
                raise error
            self._session.note_failure(queues, error)
        return claim

    def _others_deadline(self) -> float:
        limit = min(OTHERS_LIMIT, self._request.lease / 3_000_000)
        return asyncio.get_running_loop().time() + limit

    async def _take_from(
        self, queues: Sequence[str], claim: Claim, *, waits: bool, woken: bool
    ) -> None:
        room = self._request.limit - len(claim.deliveries)
        if room > 0:
            arguments = (room, int(waits), int(woken))
            reply = await self._ask(queues, arguments)
            claim.add(queues, reply, self._session.location)
        elif woken:
            await self._hand_on(queues)

    async def _ask(
        self, queues: Sequence[str], arguments: tuple[int, int, int]
    ) -> Sequence[object]:
        try:
            return await self._ask_once(queues, *arguments)
        except BrokerUnavailable as error:
            # Connections to a Cluster are not looked at before they are used, and may be stale.
            if self._session.connections.one_place or is_answer(error):
                raise
        return await self._ask_once(queues, *arguments)

    async def _ask_once(
        self, queues: Sequence[str], room: int, waits: int, woken: int
    ) -> Sequence[object]:
        token, sent = self._session.next_token(), time.monotonic()
        arguments = (room, self._request.lease, token, waits, woken)
        keys = self._session.keys.of("dequeue", *queues)
        try:
            (reply,) = await self._session.call(Call("dequeue", keys, arguments, once=True))
        except (BrokerError, asyncio.CancelledError) as error:
            if not is_answer(error):
                lost = LostClaim(token, queues, self._request.lease, sent)
                self._session.lost_claims.note(lost)
            raise
        return cast(Sequence[object], reply)

    async def _give_back(self, claim: Claim) -> None:
        items = [Settlement(delivery, Outcome.RELEASE) for delivery in claim.deliveries]
        await self._session.call(*(call for call, _ in settle_calls(self._session.keys, items)))

    async def _wait(self, soonest: float | None, left: float) -> bool:
        """Whether to look again: woken, or at the time of the next message."""
        # Leases given from now on end after this one would: no need to hear of them.
        seconds = min(left, self._request.lease / 1_000_000, soonest or left)
        wait = self._session.waiter.start(self._request.queues)

        async def run() -> bool:
            exact = seconds < max(left, EXACT_BELOW)
            with translate_errors(self._session.location):
                popped = await self._session.waiter.run(wait, seconds, exact=exact)
            if self._session.closing:
                await leave(popped)
                self._session.check_open()
            return popped

        async def leave(popped: bool) -> None:
            if popped or soonest is not None:
                await self._hand_on(self._request.queues)

        popped = await self._session.shield.run(run(), leave, stop=wait.stop)
        return popped or seconds < left

    async def _hand_on(self, queues: Sequence[str]) -> None:
        keys = self._session.keys
        await self._session.call(*(Call("wake", keys.of("wake", queue)) for queue in queues))
