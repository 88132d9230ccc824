"""Takes messages, or waits for them: one `Fetch` for each `dequeue`."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from redis.exceptions import ResponseError

from asynctasq.drivers import Delivery
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_redis.errors import is_answer, translate_errors, translated
from asynctasq_redis.lost_claims import LostClaim
from asynctasq_redis.messages import delivered
from asynctasq_redis.scripts import Call
from asynctasq_redis.session import Session
from asynctasq_redis.settle import release_calls

#: Seconds; shorter waits are ended by the driver, as a server ends them up to 0.1 s late.
EXACT_BELOW = 1.0
#: Seconds that the other groups of queues may take once a group has returned messages; at most a
#: third of their lease.
OTHERS_LIMIT = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of a dequeue; `lease` in microseconds."""

    queues: Sequence[str]
    limit: int
    lease: int


@dataclass(slots=True)
class Claim:
    """The messages taken, the seconds until the next is due (None: no more), and failures."""

    deliveries: list[Delivery] = field(default_factory=list[Delivery])
    soonest: float | None = None
    failures: dict[Sequence[str], BrokerError] = field(
        default_factory=dict[Sequence[str], BrokerError]
    )

    def add(self, queues: Sequence[str], reply: Sequence[object], location: str) -> None:
        """Add the reply of ``dequeue`` for `queues`."""
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
        """Take messages; return none after `wait` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        woken, failures = False, 0
        while True:
            claim = await self._claim(waits=deadline > loop.time(), woken=woken)
            left = deadline - loop.time()
            if claim.deliveries or (left <= 0 and claim.soonest != 0):
                return claim.deliveries
            if claim.soonest == 0:  # the script has skipped only entries of deleted messages
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
        return await self._session.shield.run(work, self._release)

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
        """Return a claim with messages, whose failures the next claim raises; else raise them."""
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
            reply = await self._dequeue(queues, arguments)
            claim.add(queues, reply, self._session.location)
        elif woken:
            await self._wake_another(queues)

    async def _dequeue(
        self, queues: Sequence[str], arguments: tuple[int, int, int]
    ) -> Sequence[object]:
        try:
            return await self._dequeue_once(queues, *arguments)
        except BrokerUnavailable as error:
            # Connections to a Cluster are not checked before use, and may be stale.
            if self._session.connections.one_place or is_answer(error):
                raise
        return await self._dequeue_once(queues, *arguments)

    async def _dequeue_once(
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

    async def _release(self, claim: Claim) -> None:
        await self._session.call(*release_calls(self._session.keys, claim.deliveries))

    async def _wait(self, soonest: float | None, left: float) -> bool:
        """Return whether to claim again: after a wake-up, or when the next message is due."""
        # Leases given from now on end after `request.lease`: the wait ends before they do.
        seconds = min(left, self._request.lease / 1_000_000, soonest or left)
        wait = self._session.waiter.start(self._request.queues)

        async def run() -> bool:
            exact = seconds < max(left, EXACT_BELOW)
            with translate_errors(self._session.location):
                popped = await self._session.waiter.run(wait, seconds, exact=exact)
            if self._session.closing:
                await pass_on(popped)
                self._session.check_open()
            return popped

        async def pass_on(popped: bool) -> None:
            if popped or soonest is not None:
                await self._wake_another(self._request.queues)

        popped = await self._session.shield.run(run(), pass_on, stop=wait.stop)
        return popped or seconds < left

    async def _wake_another(self, queues: Sequence[str]) -> None:
        keys = self._session.keys
        await self._session.call(*(Call("wake", keys.of("wake", queue)) for queue in queues))
