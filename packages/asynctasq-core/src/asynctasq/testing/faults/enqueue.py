"""Drivers that store messages wrongly."""

from collections.abc import Sequence
from dataclasses import replace

from asynctasq.drivers import Delivery, DriverSettings, Message
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerRejected
from asynctasq.testing.contract import EnqueueContract
from asynctasq.testing.faults.registry import caught_by


@caught_by(EnqueueContract.test_a_large_batch_is_enqueued)
class LosesTheLastOfALargeBatch(MemoryDriver):
    """It cuts the batch at a round number."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store the first thousand."""
        await super().enqueue(messages[:1000])


@caught_by(EnqueueContract.test_a_large_batch_is_enqueued)
class RefusesALargeBatch(MemoryDriver):
    """It hits a limit on the arguments of one statement."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store up to a thousand."""
        if len(messages) > 1000:
            raise BrokerRejected("too many arguments")
        await super().enqueue(messages)


@caught_by(EnqueueContract.test_order_is_kept_within_a_batch)
class ReversesABatch(MemoryDriver):
    """It pushes to the wrong end."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store the batch in reverse order."""
        await super().enqueue(messages[::-1])


@caught_by(EnqueueContract.test_one_batch_may_fill_several_queues)
class OneQueueForABatch(MemoryDriver):
    """It uses the queue of the first message for all."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store all in the first queue."""
        await super().enqueue([replace(one, queue=messages[0].queue) for one in messages])


@caught_by(EnqueueContract.test_an_id_that_is_stored_is_left_as_it_is)
class OverwritesAStoredId(MemoryDriver):
    """It replaces a stored message."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Remove messages with the same id, then store."""
        for one in messages:
            await self.delete(one.queue, [one.id])
        await super().enqueue(messages)


@caught_by(EnqueueContract.test_an_id_that_is_done_can_be_stored_again)
class RemembersIdsForEver(MemoryDriver):
    """It never forgets the id of a message that is done."""

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self.seen: set[str] = set()

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store only new ids."""
        await super().enqueue([one for one in messages if one.id not in self.seen])
        self.seen.update(one.id for one in messages)


@caught_by(EnqueueContract.test_an_id_belongs_to_its_queue)
class SharesIdsBetweenQueues(MemoryDriver):
    """It keys bodies by id alone."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store each id once, whatever its queue."""
        await super().enqueue(list({one.id: one for one in reversed(messages)}.values())[::-1])


@caught_by(EnqueueContract.test_a_delayed_message_comes_when_it_is_due)
class IgnoresTheDelay(MemoryDriver):
    """It makes everything deliverable at once."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store without delay."""
        await super().enqueue([replace(one, delay=0.0) for one in messages])


@caught_by(EnqueueContract.test_a_delay_may_be_a_month)
class OverflowsALongDelay(MemoryDriver):
    """Its milliseconds do not fit into 31 bits."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store with a delay that wraps around."""
        limit = 2**31 / 1000
        await super().enqueue(
            [replace(one, delay=0 if one.delay > limit else one.delay) for one in messages]
        )


@caught_by(EnqueueContract.test_a_body_is_kept_byte_for_byte)
class CutsABodyAtAZero(MemoryDriver):
    """It treats bodies as C strings."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store the body up to the first zero byte."""
        await super().enqueue([replace(one, body=one.body.split(b"\0")[0]) for one in messages])


@caught_by(EnqueueContract.test_odd_queue_names_are_kept_apart)
class FoldsTheCaseOfQueues(MemoryDriver):
    """Its collation ignores case."""

    async def enqueue(self, messages: Sequence[Message]) -> None:
        """Store under lower case."""
        await super().enqueue([replace(one, queue=one.queue.lower()) for one in messages])

    async def dequeue(
        self, queues: Sequence[str], *, limit: int, lease: float, wait: float
    ) -> Sequence[Delivery]:
        """Take from the name in lower case."""
        names = [name.lower() for name in queues]
        return await super().dequeue(names, limit=limit, lease=lease, wait=wait)
