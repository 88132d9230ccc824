"""The model of a broker's messages: the seam's promises in plain Python."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from asynctasq.drivers import Delivery, Message, Outcome, Settlement, State, StoredMessage


@dataclass(slots=True, eq=False)
class Stored:
    """A message that the broker must hold.

    Attributes:
        order: its place among all enqueued messages.
        visible_at: seconds, by the model's clock.
        holder: the delivery whose outcome counts; a lease that ran out keeps it.
        abandoned: the attempt before ended without an outcome; None if a cancelled dequeue may
            have made one.
        is_fresh: it was enqueued without a delay and never delivered, so its turn is known.
    """

    message: Message
    order: int
    visible_at: float
    is_fresh: bool
    attempt: int = 0
    holder: Delivery | None = None
    abandoned: bool | None = False
    is_dead: bool = False
    note: str = ""

    def state(self, now: float) -> State:
        """The state of the message at `now`."""
        if self.is_dead:
            return State.DEAD
        if self.visible_at <= now:
            return State.READY
        return State.DELAYED if self.holder is None else State.RUNNING


class Model:
    """Messages by queue and id.

    Args:
        queues: the names of the queues.
        length: converts a duration to seconds of the model's clock.

    Attributes:
        now: seconds of the model's clock.
    """

    def __init__(self, queues: Sequence[str], length: Callable[[float], float]) -> None:
        self.queues = tuple(queues)
        self.now = 0.0
        self._length = length
        self._stored: dict[tuple[str, str], Stored] = {}
        self._orders = 0

    def of(self, queue: str, state: State | None = None) -> list[Stored]:
        """The messages of a queue, optionally of one state, in the order they were enqueued."""
        return [
            one
            for one in self._stored.values()
            if one.message.queue == queue and state in (None, one.state(self.now))
        ]

    def count(self, queue: str, state: State) -> int:
        """The number of messages of one state in a queue."""
        return len(self.of(queue, state))

    def enqueue(self, messages: Iterable[Message]) -> None:
        """Store messages whose ids are not stored yet."""
        for message in messages:
            key = (message.queue, message.id)
            if key not in self._stored:
                self._orders += 1
                visible_at = self.now + self._length(message.delay)
                self._stored[key] = Stored(message, self._orders, visible_at, not message.delay)

    def deliver(self, taken: Sequence[Delivery], queues: Sequence[str], lease: float) -> None:
        """Check the deliveries of one dequeue, and record their holders."""
        for delivery in taken:
            self._deliver(delivery, lease)
        places = [queues.index(delivery.queue) for delivery in taken]
        assert places == sorted(places), "a later queue came first"
        left = [one for queue in queues[: max(places, default=0)] for one in self._ready(queue)]
        waiting = [one.message.id for one in left if one.holder not in taken]
        assert not waiting, f"a later queue was served before {waiting}"

    def settle(self, settlements: Sequence[Settlement]) -> list[Delivery]:
        """Apply outcomes; return the deliveries that lost their lease."""
        return [one.delivery for one in settlements if not self._settle(one)]

    def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        """Move the ends of leases; return the deliveries that lost their lease."""
        lost: list[Delivery] = []
        for delivery in deliveries:
            if one := self._held(delivery):
                one.visible_at = self.now + self._length(lease)
            else:
                lost.append(delivery)
        return lost

    def give_back(self, taken: Sequence[StoredMessage]) -> None:
        """Copy the attempts of messages that a cancelled dequeue may have taken and released."""
        for found in taken:
            one = self._stored[found.queue, found.id]
            assert found.attempt in (one.attempt, one.attempt + 1)
            one.attempt, one.is_fresh, one.abandoned = found.attempt, False, None

    def requeue(self, queue: str, ids: Sequence[str]) -> list[str]:
        """Make dead messages new; return their ids."""
        dead = [one for one in self._known(queue, ids) if one.is_dead]
        for one in dead:
            one.is_dead, one.note, one.attempt, one.visible_at = False, "", 0, self.now
        return [one.message.id for one in dead]

    def delete(self, queue: str, ids: Sequence[str]) -> list[str]:
        """Remove messages that are not held; return their ids."""
        gone = [o for o in self._known(queue, ids) if o.state(self.now) is not State.RUNNING]
        for one in gone:
            del self._stored[queue, one.message.id]
        return [one.message.id for one in gone]

    def _deliver(self, delivery: Delivery, lease: float) -> None:
        one = self._stored.get((delivery.queue, delivery.id))
        assert one is not None, f"{delivery.id} was delivered and is not stored"
        state = one.state(self.now)
        assert state is State.READY, f"{delivery.id} was delivered while {state.value}"
        assert delivery.body == one.message.body
        assert delivery.attempt == one.attempt + 1, "attempts are counted at each delivery"
        self._check_turn(one)
        one.abandoned = one.abandoned if one.holder is None else True
        assert one.abandoned in (None, delivery.abandoned), "a lease that ran out is abandoned"
        one.abandoned = delivery.abandoned
        one.attempt, one.holder, one.is_fresh = delivery.attempt, delivery, False
        one.visible_at = self.now + self._length(lease)

    def _check_turn(self, one: Stored) -> None:
        if one.is_fresh:
            ready = self._ready(one.message.queue)
            earlier = [o.message.id for o in ready if o.is_fresh and o.order < one.order]
            assert not earlier, f"{one.message.id} was delivered before {earlier}"

    def _ready(self, queue: str) -> list[Stored]:
        return self.of(queue, State.READY)

    def _settle(self, settlement: Settlement) -> bool:
        one = self._held(settlement.delivery)
        if one is None:
            return False
        one.holder = None
        if settlement.outcome is not Outcome.RELEASE:
            one.abandoned = False
        match settlement.outcome:
            case Outcome.DONE:
                del self._stored[one.message.queue, one.message.id]
            case Outcome.DEAD:
                one.is_dead, one.note = True, settlement.note
            case Outcome.RETRY | Outcome.RELEASE:
                one.attempt -= settlement.outcome is Outcome.RELEASE
                one.visible_at = self.now + self._length(settlement.delay)
        return True

    def _held(self, delivery: Delivery) -> Stored | None:
        one = self._stored.get((delivery.queue, delivery.id))
        return one if one is not None and one.holder is delivery else None

    def _known(self, queue: str, ids: Sequence[str]) -> Iterator[Stored]:
        keys = [(queue, one) for one in dict.fromkeys(ids)]
        return (self._stored[key] for key in keys if key in self._stored)
