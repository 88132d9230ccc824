"""Receiving: long polls that outlive the calls they were made for, and an inbox between them.

A `ReceiveMessage` that is given up may still be answered, to nobody; so none is. A dequeue that is
cancelled, or whose time is over, leaves its polls to the driver. What they bring goes to whoever
dequeues next, and back to the queue when nobody does within seconds.

An idle queue costs one long poll every twenty seconds. While polls come back full, twice as many
are sent at once each time, up to what the free slots can take.
"""

import asyncio
import math
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_sqs.arrival_time import answer_to
from asynctasq_sqs.background import Background
from asynctasq_sqs.client import CALL_LIMIT, TEN, Client
from asynctasq_sqs.leases import LONGEST, Leases, Receipt, receipt_of, whole_seconds
from asynctasq_sqs.messages import BODY, SYSTEM, Received, read_all
from asynctasq_sqs.names import is_fifo
from asynctasq_sqs.queues import Queues
from asynctasq_sqs.receive_buffer import Inbox
from asynctasq_sqs.settle import Settling

#: Longest wait of SQS, in seconds.
LONGEST_WAIT = 20
#: Most polls of one queue at once.
WIDEST = 16
#: Most seconds by which a lease is thought to have begun before its message came.
MOST_LATE = 1.0
#: Shortest time in seconds between two looks whether it came.
SHORTEST_STEP = 0.05
#: Share of a lease that must be left of it when a message is delivered.
FRESH = 0.75
#: Seconds that short polls have to come to their end when the driver disconnects.
CLOSE_LIMIT = 1.0

#: A ``ReceiveMessage`` under way; its result is whether as many messages came as it asked for.
_Poll = asyncio.Task[bool]


class Polls:
    """All receiving of one driver."""

    def __init__(
        self,
        client: Client,
        queues: Queues,
        leases: Leases,
        settling: Settling,
        background: Background,
    ) -> None:
        self._client = client
        self._queues = queues
        self._leases = leases
        self._settling = settling
        self._background = background
        self._inbox = Inbox(self._hand_back)
        self._short: set[_Poll] = set()
        self._long: dict[str, _Poll] = {}
        self._width: dict[str, int] = {}
        self._empty: set[str] = set()
        self._closing = False

    async def take(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Up to `limit` messages, or none after `wait` seconds; see `BaseDriver.dequeue`."""
        deadline = time.monotonic() + wait
        seconds = min(whole_seconds(lease), LONGEST)
        while True:
            if taken := self._inbox.take(queues, limit):
                if taken := await self._with_lease(taken, seconds):
                    return taken
                continue
            for queue in self._worth_a_look(queues, wait):
                await self._look(queue, limit - self._inbox.count(queues), seconds)
                if self._inbox.count(queues) >= limit:
                    break
            if self._inbox.count(queues):
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            polls = {self._long_poll(queue, limit, seconds, wait, left) for queue in queues}
            await self._first_of(polls, left)
            if time.monotonic() >= deadline and not self._inbox.count(queues):
                return []

    async def close(self) -> None:
        """End all polls, and give back what nobody took."""
        self._closing = True
        for poll in self._long.values():
            poll.cancel()
        if self._short:
            await asyncio.wait(self._short, timeout=CLOSE_LIMIT)
        polls = {*self._short, *self._long.values()}
        for poll in polls:
            poll.cancel()
        if polls:
            await asyncio.wait(polls, timeout=CLOSE_LIMIT)
        self._inbox.close()

    def _worth_a_look(self, queues: Sequence[str], wait: float) -> Sequence[str]:
        """Queues to ask at once, in order, before there is a long poll on each.

        Those up to the last that may hold messages; who polls already would have brought them.
        """
        if wait <= 0:
            return queues
        if wait < 1:  # less than a poll can wait, and perhaps than an answer takes
            return [queue for queue in queues if queue not in self._long]
        if len(queues) == 1 and self._width.get(queues[0], 1) == 1:
            return ()  # the long poll brings as much
        full = [i for i, queue in enumerate(queues) if queue not in self._empty]
        return [queue for queue in queues[: max(full, default=-1) + 1] if queue not in self._long]

    async def _look(self, queue: str, wanted: int, lease: int) -> None:
        """Short polls for up to `wanted` messages, as many as the queue was worth lately."""
        width = min(self._width.get(queue, 1), math.ceil(wanted / TEN))
        counts = [min(TEN, wanted - TEN * i) for i in range(width)]
        polls = {self._start(self._receive(queue, count, lease, 0)) for count in counts}
        self._short |= polls
        for poll in polls:
            poll.add_done_callback(self._short.discard)
        await asyncio.wait(polls)
        self._note(queue, polls, grows=counts[0] == TEN)
        _raise_first(polls)

    def _long_poll(self, queue: str, limit: int, lease: int, wait: float, left: float) -> _Poll:
        """The long poll on a queue; who waits for less than it can last gets a shorter one."""
        poll = self._long.get(queue)
        if poll is None:
            seconds = LONGEST_WAIT if wait >= LONGEST_WAIT else math.ceil(left)
            count = min(TEN, limit)
            poll = self._start(self._receive(queue, count, lease, seconds))
            self._long[queue] = poll
            poll.add_done_callback(lambda poll: self._end(queue, poll, grows=count == TEN))
        return poll

    def _end(self, queue: str, poll: _Poll, *, grows: bool) -> None:
        del self._long[queue]
        self._note(queue, {poll}, grows=grows)

    def _note(self, queue: str, polls: set[_Poll], *, grows: bool) -> None:
        """Take note of what polls that were sent at once say about a queue."""
        if not all(_brought_all(poll) for poll in polls):
            self._empty.add(queue)
            self._width[queue] = 1
        else:
            self._empty.discard(queue)
            if grows:
                self._width[queue] = min(WIDEST, 2 * len(polls))

    async def _first_of(self, polls: set[_Poll], left: float) -> None:
        done, _ = await asyncio.wait(polls, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        _raise_first(done)

    def _start(self, work: Coroutine[object, object, bool]) -> _Poll:
        if self._closing:
            work.close()
            raise BrokerUnavailable("the driver was disconnected")
        poll = asyncio.create_task(work)
        poll.add_done_callback(_hear)
        return poll

    async def _receive(self, queue: str, count: int, lease: int, wait: int) -> bool:
        """One ``ReceiveMessage``; what it brings is put into the inbox."""

        async def ask(url: str) -> list[tuple[Received, Receipt]]:
            poll = self._client.poll(
                limit=wait + CALL_LIMIT,
                QueueUrl=url,
                MaxNumberOfMessages=count,
                VisibilityTimeout=lease,
                WaitTimeSeconds=wait,
                MessageAttributeNames=[BODY],
                MessageSystemAttributeNames=SYSTEM,
            )
            reply, began = await answer_to(poll, max(SHORTEST_STEP, min(MOST_LATE, lease / 10) / 2))
            return [
                (one, self._leases.begin(url, one, began=began, lease=lease))
                for one in read_all(reply)
            ]

        came = await self._queues.on(queue, ask)
        self._inbox.put(
            queue,
            [(_delivery(queue, *one), one[0].order) for one in came if one[0].early <= 0],
        )
        if early := [one for one in came if one[0].early > 0]:
            self._background.start(self._send_on(queue, early))
        return len(came) == count

    async def _send_on(self, queue: str, early: Sequence[tuple[Received, Receipt]]) -> None:
        """Send what is not due yet once more, with the delay that is left."""
        letters = [(receipt, replace(one.letter, delay=one.early)) for one, receipt in early]
        for error in (await self._settling.move(queue, letters)).values():
            raise error

    async def _with_lease(self, taken: list[Delivery], lease: int) -> Sequence[Delivery]:
        """Those of `taken` that are held, for about `lease` seconds.

        What was received for another dequeue, or lay here for long, is extended.
        """
        now = time.monotonic()
        wrong = [
            one for one in taken if not FRESH * lease <= receipt_of(one).until - now <= lease + 1
        ]
        if not wrong:
            return taken
        try:
            lost = await self._background.run(self._leases.extend(wrong, lease))
        except (BrokerError, asyncio.CancelledError):
            self._hand_back(taken)
            raise
        return [one for one in taken if one not in lost]

    def _hand_back(self, deliveries: Sequence[Delivery]) -> None:
        back = [Settlement(delivery, Outcome.RELEASE) for delivery in deliveries]
        self._background.start(self._settling.settle(back))


def _delivery(queue: str, received: Received, receipt: Receipt) -> Delivery:
    letter = received.letter
    # a FIFO queue hides what is retried, and counts it as what is abandoned
    abandoned = received.abandoned and not is_fifo(queue)
    return Delivery(letter.id, queue, letter.body, received.attempt, receipt, abandoned)


def _brought_all(poll: _Poll) -> bool:
    return not poll.cancelled() and poll.exception() is None and poll.result()


def _raise_first(polls: set[_Poll]) -> None:
    for poll in polls:
        if poll.cancelled():
            raise BrokerUnavailable("the driver was disconnected")
        if error := poll.exception():
            raise error


def _hear(poll: _Poll) -> None:
    if not poll.cancelled():
        poll.exception()  # whoever waits for it raises it; it may be nobody
