"""Receives messages: long polls that outlive their dequeue, and a buffer between the two.

SQS may still answer an abandoned ``ReceiveMessage``, and its messages would be hidden for a lease.
So no poll is abandoned: a dequeue that is cancelled, or times out, leaves its polls to the driver.
Their messages go to the next dequeue, or are released when none comes within seconds.

An idle queue costs one long poll every twenty seconds. While polls return full, the number of
concurrent polls doubles, up to the number of free slots.
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
from asynctasq_sqs.receive_buffer import ReceiveBuffer
from asynctasq_sqs.settle import Settler

#: Longest long poll of SQS, in seconds.
LONGEST_WAIT = 20
#: Limit of concurrent polls of one queue.
WIDEST = 16
#: Precision in seconds to which the arrival of a reply, and so the start of a lease, is known.
MOST_LATE = 1.0
#: Shortest step in seconds of that measurement.
SHORTEST_STEP = 0.05
#: A message is delivered with at least this share of its lease left.
FRESH = 0.75
#: Seconds that short polls have to finish when the driver disconnects.
CLOSE_LIMIT = 1.0

#: A ``ReceiveMessage`` under way; its result is whether it returned as many as requested.
_Poll = asyncio.Task[bool]


class Receiver:
    """The polls of one driver, and the buffer of received messages."""

    def __init__(
        self,
        client: Client,
        queues: Queues,
        leases: Leases,
        settler: Settler,
        background: Background,
    ) -> None:
        self._client = client
        self._queues = queues
        self._leases = leases
        self._settler = settler
        self._background = background
        self._buffer = ReceiveBuffer(self._release)
        self._short: set[_Poll] = set()
        self._long: dict[str, _Poll] = {}
        self._width: dict[str, int] = {}
        self._empty: set[str] = set()
        self._closing = False

    async def take(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Return up to `limit` messages, or none after `wait` seconds; see `BaseDriver.dequeue`."""
        deadline = time.monotonic() + wait
        seconds = min(whole_seconds(lease), LONGEST)
        while True:
            if taken := self._buffer.take(queues, limit):
                if taken := await self._with_lease(taken, seconds):
                    return taken
                continue
            for queue in self._to_poll_first(queues, wait):
                await self._short_polls(queue, limit - self._buffer.count(queues), seconds)
                if self._buffer.count(queues) >= limit:
                    break
            if self._buffer.count(queues):
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            polls = {self._long_poll(queue, limit, seconds, wait, left) for queue in queues}
            await self._first_of(polls, left)
            if time.monotonic() >= deadline and not self._buffer.count(queues):
                return []

    async def close(self) -> None:
        """End all polls, and release the buffered messages."""
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
        self._buffer.close()

    def _to_poll_first(self, queues: Sequence[str], wait: float) -> Sequence[str]:
        """Return the queues to short-poll, in order, before there is a long poll on each.

        These are the queues up to the last that may hold messages, without those that have a long
        poll, which would have returned them.
        """
        if wait <= 0:
            return queues
        if wait < 1:  # less than a long poll, and perhaps than a reply takes
            return [queue for queue in queues if queue not in self._long]
        if len(queues) == 1 and self._width.get(queues[0], 1) == 1:
            return ()  # the long poll returns as much
        full = [i for i, queue in enumerate(queues) if queue not in self._empty]
        return [queue for queue in queues[: max(full, default=-1) + 1] if queue not in self._long]

    async def _short_polls(self, queue: str, wanted: int, lease: int) -> None:
        """Poll without waiting for up to `wanted` messages, as widely as recent polls were full."""
        width = min(self._width.get(queue, 1), math.ceil(wanted / TEN))
        counts = [min(TEN, wanted - TEN * i) for i in range(width)]
        polls = {self._start(self._receive(queue, count, lease, 0)) for count in counts}
        self._short |= polls
        for poll in polls:
            poll.add_done_callback(self._short.discard)
        await asyncio.wait(polls)
        self._adapt(queue, polls, grows=counts[0] == TEN)
        _raise_first(polls)

    def _long_poll(self, queue: str, limit: int, lease: int, wait: float, left: float) -> _Poll:
        """Return the long poll on a queue; a new one is shorter for a shorter `wait`."""
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
        self._adapt(queue, {poll}, grows=grows)

    def _adapt(self, queue: str, polls: set[_Poll], *, grows: bool) -> None:
        """Adapt the number of concurrent polls of a queue to the result of the latest ones."""
        if not all(_is_full(poll) for poll in polls):
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
        poll.add_done_callback(_retrieve)
        return poll

    async def _receive(self, queue: str, count: int, lease: int, wait: int) -> bool:
        """Send one ``ReceiveMessage``, and buffer its messages."""

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

        received = await self._queues.on(queue, ask)
        self._buffer.put(
            queue,
            [(_delivery(queue, *one), one[0].order) for one in received if one[0].early <= 0],
        )
        if early := [one for one in received if one[0].early > 0]:
            self._background.start(self._send_on(queue, early))
        return len(received) == count

    async def _send_on(self, queue: str, early: Sequence[tuple[Received, Receipt]]) -> None:
        """Send messages that are not due yet again, with their remaining delay."""
        contents = [(receipt, replace(one.content, delay=one.early)) for one, receipt in early]
        for error in (await self._settler.move(queue, contents)).values():
            raise error

    async def _with_lease(self, taken: list[Delivery], lease: int) -> Sequence[Delivery]:
        """Return the messages of `taken` that are held, each for about `lease` seconds.

        Messages received for another dequeue, or buffered for long, are extended first.
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
            self._release(taken)
            raise
        return [one for one in taken if one not in lost]

    def _release(self, deliveries: Sequence[Delivery]) -> None:
        back = [Settlement(delivery, Outcome.RELEASE) for delivery in deliveries]
        self._background.start(self._settler.settle(back))


def _delivery(queue: str, received: Received, receipt: Receipt) -> Delivery:
    content = received.content
    # a FIFO queue counts a retry, which is hidden for a while, like an abandoned attempt
    abandoned = received.abandoned and not is_fifo(queue)
    return Delivery(content.id, queue, content.body, received.attempt, receipt, abandoned)


def _is_full(poll: _Poll) -> bool:
    return not poll.cancelled() and poll.exception() is None and poll.result()


def _raise_first(polls: set[_Poll]) -> None:
    for poll in polls:
        if poll.cancelled():
            raise BrokerUnavailable("the driver was disconnected")
        if error := poll.exception():
            raise error


def _retrieve(poll: _Poll) -> None:
    if not poll.cancelled():
        poll.exception()  # so that asyncio does not log it; a waiting dequeue raises it
