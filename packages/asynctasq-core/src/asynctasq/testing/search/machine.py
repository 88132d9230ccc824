"""The state machine: calls in any order, each compared with the model."""

from collections.abc import Sequence
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from asynctasq.drivers import Delivery, Message, Outcome, Settlement, State, StoredMessage
from asynctasq.testing.search.model import Model, Stored
from asynctasq.testing.search.searched import Searched
from asynctasq.testing.search.times import Times

#: Few, so that ids are enqueued again.
NAMES = tuple("abcd")
QUEUES = 2
NOT_HELD = (State.READY, State.DELAYED, State.DEAD)

names = st.sampled_from(NAMES)
drivers = st.integers(0, 1)
places = st.integers(0, QUEUES - 1)
orders = st.lists(places, min_size=1, max_size=QUEUES, unique=True)
durations = st.integers(0, 4)
several = st.lists(names, min_size=1, max_size=4)


class DriverMachine(RuleBasedStateMachine):
    """Two drivers on the same messages, as two processes have them, and the model.

    Args:
        searched: the two drivers.
        times: how time passes.
    """

    deliveries: Bundle[Delivery] = Bundle("deliveries")

    def __init__(self, searched: Sequence[Searched], times: Times) -> None:
        super().__init__()
        self._searched = searched
        self._times = times
        self._bodies = 0
        prefix = f"search-{uuid4().hex[:12]}"
        self.model = Model([f"{prefix}-{number}" for number in range(QUEUES)], self._length)
        self.model.now = times.passed()

    @initialize(by=drivers, batch=st.lists(places, min_size=3, max_size=len(NAMES)))
    def begin(self, by: int, batch: Sequence[int]) -> None:
        """Begin with messages that can be taken."""
        self.enqueue(by, [(place, name, 0) for place, name in zip(batch, NAMES, strict=False)])

    @rule(by=drivers, batch=st.lists(st.tuples(places, names, durations), min_size=1, max_size=5))
    def enqueue(self, by: int, batch: Sequence[tuple[int, str, int]]) -> None:
        """Store messages, some of which may be stored already."""
        driver, delays = self._searched[by], [self._delay(index) for _, _, index in batch]
        messages = [
            Message(name, self.model.queues[place], self._body(), delay)
            for (place, name, _), delay in zip(batch, delays, strict=True)
        ]
        driver.run(driver.seam.enqueue(messages))
        self.model.enqueue(messages)
        self._wait_if_soon(*delays)

    @rule(target=deliveries, by=drivers, order=orders, limit=st.integers(1, 4), length=durations)
    def dequeue(
        self, by: int, order: Sequence[int], limit: int, length: int
    ) -> MultipleResults[Delivery]:
        """Take messages: at least one if there are any, and only deliverable ones."""
        queues, lease = self._queues(order), self._lease(length)
        taken = self._searched[by].dequeue(queues, limit, lease)
        return self._delivered(taken, queues, limit, lease)

    @precondition(lambda self: self.has_known_holders())
    @rule(
        target=deliveries,
        by=drivers,
        order=orders,
        limit=st.integers(1, 4),
        length=durations,
        steps=st.integers(0, 4),
    )
    def cancel_a_dequeue(
        self, by: int, order: Sequence[int], limit: int, length: int, steps: int
    ) -> MultipleResults[Delivery]:
        """Cancelled in the middle, it loses nothing."""
        queues, lease, driver = self._queues(order), self._lease(length), self._searched[by]
        taken = driver.cancelled_dequeue(queues, limit, lease, steps)
        if taken is not None:
            return self._delivered(taken, queues, limit, lease)
        self._until_as_the_model_says()
        driver.reconnect()
        self._until_as_the_model_says()
        for queue in queues:
            ids = [one.message.id for one in self.model.of(queue, State.READY)]
            self.model.give_back(driver.find(queue, ids))
        return multiple()

    @rule(
        by=drivers,
        first=deliveries,
        more=st.lists(deliveries, max_size=3),
        results=st.lists(st.sampled_from(Outcome), min_size=4, max_size=4),
        length=durations,
        twice=st.booleans(),
    )
    def settle(
        self,
        by: int,
        first: Delivery,
        more: Sequence[Delivery],
        results: Sequence[Outcome],
        length: int,
        twice: bool,
    ) -> None:
        """Only the holder settles, and once; a batch may name a delivery twice."""
        delay, driver = self._delay(length), self._searched[by]
        mixed = zip(_unique([first, *more]), results, strict=False)
        items = [Settlement(one, outcome, delay, "why") for one, outcome in mixed]
        lost = driver.run(driver.seam.settle([*items, items[0]] if twice else items))
        expected = self.model.settle(items)
        if twice and first not in expected:  # a driver may call the second one late, or not
            lost = [one for one in lost if one != first]
        assert {_key(one) for one in lost} == {_key(one) for one in expected}
        self._wait_if_soon(delay)

    @rule(by=drivers, first=deliveries, more=st.lists(deliveries, max_size=3), length=durations)
    def extend(self, by: int, first: Delivery, more: Sequence[Delivery], length: int) -> None:
        """Only the holder extends."""
        lease, driver, held = self._lease(length), self._searched[by], _unique([first, *more])
        lost = driver.run(driver.seam.extend(held, lease=lease))
        expected = self.model.extend(held, lease)
        assert {_key(one) for one in lost} == {_key(one) for one in expected}
        self._wait_if_soon(lease)

    @rule(by=drivers, place=places, ids=several)
    def requeue(self, by: int, place: int, ids: Sequence[str]) -> None:
        """Dead messages become new; others do not change."""
        driver, queue = self._searched[by], self.model.queues[place]
        done = driver.run(driver.inside.requeue(queue, ids))
        assert sorted(done) == sorted(self.model.requeue(queue, ids))

    @rule(by=drivers, place=places, what=several | st.sampled_from(NOT_HELD))
    def remove(self, by: int, place: int, what: Sequence[str] | State) -> None:
        """Messages that are not held are removed, by id or all of one state."""
        driver, queue = self._searched[by], self.model.queues[place]
        if isinstance(what, State):
            ids = [one.message.id for one in self.model.of(queue, what)]
            assert driver.run(driver.inside.purge(queue, what)) == len(ids)
            self.model.delete(queue, ids)
        else:
            gone = driver.run(driver.inside.delete(queue, what))
            assert sorted(gone) == sorted(self.model.delete(queue, what))

    @rule(by=drivers, place=places, state=st.sampled_from(State))
    def browse(self, by: int, place: int, state: State) -> None:
        """Browsing shows exactly the messages of one state."""
        driver, queue = self._searched[by], self.model.queues[place]
        found = driver.run(driver.inside.browse(queue, state, limit=100))
        expected = self.model.of(queue, state)
        assert {one.id: _seen(one) for one in found} == {
            one.message.id: _expected(one, self.model.now) for one in expected
        }
        assert len(found) == len(expected)

    @precondition(lambda self: self.time_can_be_made_to_pass())
    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        """Messages become due, and leases run out."""
        self._times.advance(seconds)
        self.model.now = self._times.passed()

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every message has the model's state, body, attempts and note."""
        for queue in self.model.queues:
            found = self._searched[0].find(queue, NAMES)
            stored = {one.id: _seen(one) for one in found}
            assert stored == {
                one.message.id: _expected(one, self.model.now) for one in self.model.of(queue)
            }

    @precondition(lambda self: self.time_can_be_made_to_pass())
    @rule(target=deliveries, by=drivers, held=deliveries)
    def take_over(self, by: int, held: Delivery) -> MultipleResults[Delivery]:
        """Let a lease run out and take the ready messages: a sequence that chance rarely tries."""
        driver, lease = self._searched[by], self._lease(0)
        lost = driver.run(driver.seam.extend([held], lease=lease))
        assert list(lost) == self.model.extend([held], lease)
        self.wait(int(lease))
        taken = driver.dequeue([held.queue], len(NAMES), self._lease(-1))
        return self._delivered(taken, [held.queue], len(NAMES), self._lease(-1))

    @invariant()
    def counts_are_exact(self) -> None:
        """The counts of the other driver match the model."""
        queues = self.model.queues[::-1]
        used = {queue for queue in queues if self.model.of(queue)}
        assert self._searched[1].names() & {*queues} == used
        for queue, stats in zip(queues, self._searched[1].counts(queues), strict=True):
            assert stats.queue == queue
            counted = {state: getattr(stats, state.value) for state in State}
            assert counted == {state: self.model.count(queue, state) for state in State}
            assert (stats.oldest is None) == (stats.ready == 0)

    def time_can_be_made_to_pass(self) -> bool:
        """Whether the search sets the store's clock."""
        return not any(self._times.is_soon(lease) for lease in self._times.leases)

    def has_known_holders(self) -> bool:
        """Whether no lease has run out: a cancelled dequeue would end such a lease."""
        ready = (one for queue in self.model.queues for one in self.model.of(queue, State.READY))
        return all(one.holder is None for one in ready)

    def teardown(self) -> None:
        """Remove all messages."""
        driver = self._searched[0]
        for queue in self.model.queues:
            held = [one.holder for one in self.model.of(queue) if one.holder is not None]
            driver.run(driver.seam.settle([Settlement(one, Outcome.DONE) for one in held]))
            for state in NOT_HELD:
                driver.run(driver.inside.purge(queue, state))

    def _delivered(
        self, taken: Sequence[Delivery], queues: Sequence[str], limit: int, lease: float
    ) -> MultipleResults[Delivery]:
        there_are = any(self.model.of(queue, State.READY) for queue in queues)
        assert bool(taken) == there_are, f"{len(taken)} deliveries"
        assert len(taken) <= limit
        self.model.deliver(taken, queues, lease)
        self._wait_if_soon(lease)
        return multiple(*taken)

    def _queues(self, order: Sequence[int]) -> list[str]:
        return [self.model.queues[place] for place in order]

    def _body(self) -> bytes:
        self._bodies += 1
        return str(self._bodies).encode()

    def _delay(self, index: int) -> float:
        return self._times.delays[index % len(self._times.delays)]

    def _lease(self, index: int) -> float:
        return self._times.leases[index % len(self._times.leases)]

    def _length(self, duration: float) -> float:
        """A duration by the model's clock: 0 if the search waits for its end at once."""
        return 0.0 if self._times.is_soon(duration) else duration

    def _wait_if_soon(self, *durations: float) -> None:
        if any(self._times.is_soon(one) for one in durations):
            self._until_as_the_model_says()

    def _until_as_the_model_says(self) -> None:
        """Wait for the model's states; if they do not come, the invariants fail."""
        self._searched[0].wait_until(self._states_are_right)

    def _states_are_right(self) -> bool:
        return all(
            {one.id: one.state for one in self._searched[0].find(queue, NAMES)}
            == {one.message.id: one.state(self.model.now) for one in self.model.of(queue)}
            for queue in self.model.queues
        )


def _unique(deliveries: Sequence[Delivery]) -> list[Delivery]:
    return list({id(one): one for one in deliveries}.values())


def _key(delivery: Delivery) -> tuple[str, str, object]:
    return delivery.queue, delivery.id, delivery.receipt


def _seen(one: StoredMessage) -> tuple[State, int, bytes, str]:
    return one.state, one.attempt, one.body, one.note


def _expected(one: Stored, now: float) -> tuple[State, int, bytes, str]:
    return one.state(now), one.attempt, one.message.body, one.note
