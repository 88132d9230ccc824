"""The table of held messages: random transitions, compared with a broker in plain Python."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asynctasq.core.execution.attempt import Attempt, CancelReason, State
from asynctasq.core.worker.in_flight import InFlight
from asynctasq.drivers import Delivery, Outcome, Settlement

IDS = tuple("abcd")
SLOTS = 2
ACTIVE = (State.RUNNING, State.SUSPECTED, State.CANCELLED)

ids = st.sampled_from(IDS)
places = st.integers(0, 7)
outcomes = st.sampled_from(Outcome)


@dataclass
class Stored:
    """A message in the broker: held while it has a receipt."""

    attempt: int = 0
    receipt: int | None = None
    lapsed: bool = False
    abandoned: bool = False


class Broker:
    """Counts attempts, fences by receipt, and lets leases lapse when it is told to."""

    def __init__(self) -> None:
        self.stored = {name: Stored() for name in IDS}
        self.receipts = 0

    def deliver(self, name: str) -> Delivery | None:
        one = self.stored.get(name)
        if one is None or (one.receipt is not None and not one.lapsed):
            return None
        self.receipts += 1
        one.abandoned |= one.receipt is not None
        one.attempt, one.receipt, one.lapsed = one.attempt + 1, self.receipts, False
        return Delivery(name, "q", b"", one.attempt, one.receipt, one.abandoned)

    def holds(self, delivery: Delivery) -> bool:
        one = self.stored.get(delivery.id)
        return one is not None and one.receipt == delivery.receipt

    def settle(self, settlements: Sequence[Settlement]) -> list[Delivery]:
        return [one.delivery for one in settlements if not self._settle(one)]

    def _settle(self, settlement: Settlement) -> bool:
        delivery = settlement.delivery
        if not self.holds(delivery):
            return False
        one = self.stored[delivery.id]
        match settlement.outcome:
            case Outcome.DONE | Outcome.DEAD:
                del self.stored[delivery.id]
            case Outcome.RETRY:
                one.receipt, one.abandoned = None, False
            case Outcome.RELEASE:
                one.receipt, one.attempt = None, one.attempt - 1
        return True


@dataclass
class Sent:
    """A call of `settle` whose answer has not come."""

    batch: list[Attempt]
    lost: list[Delivery]


class InFlightMachine(RuleBasedStateMachine):
    """Deliveries, lost leases, outcomes and answers in any order; then an end at any point."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = Broker()
        self.table = InFlight("worker", slots=SLOTS, budget=None, max_unsettled=3)
        self.seen: list[Attempt] = []
        self.sent: Sent | None = None
        self.produced: dict[str, set[Outcome]] = {name: set() for name in IDS}

    def of(self, *states: State) -> list[Attempt]:
        return [one for one in self.seen if one.state in states]

    def pick(self, place: int, *states: State) -> Attempt | None:
        found = self.of(*states)
        return found[place % len(found)] if found else None

    # ---- in

    @rule(name=ids, suspicious=st.booleans())
    def deliver(self, name: str, suspicious: bool) -> None:
        delivery = self.broker.deliver(name)
        if delivery is None:
            return
        attempt = self.table.admit(delivery)
        if attempt is not None:
            self.seen.append(attempt)
            if suspicious:
                self.table.suspect(attempt)
        self.seen += [one for one in self.table if one not in self.seen]

    @rule(name=ids)
    def lapse(self, name: str) -> None:
        """A lease runs out; the next delivery is abandoned."""
        one = self.broker.stored.get(name)
        if one is not None and one.receipt is not None:
            one.lapsed = True

    @rule(name=ids, suspicious=st.booleans())
    def deliver_again(self, name: str, suspicious: bool) -> None:
        """A lease runs out, and the message comes back here at once."""
        self.lapse(name)
        self.deliver(name, suspicious)

    @rule(name=ids)
    def revoke(self, name: str) -> None:
        """A command takes the message away."""
        self.broker.stored.pop(name, None)

    @rule()
    def keep_leases(self) -> None:
        """The lease keeper extends, and learns what was lost."""
        for delivery in self.table.leased():
            if self.broker.holds(delivery):
                self.broker.stored[delivery.id].lapsed = False
            else:
                self.table.lose(delivery)

    # ---- run

    @rule()
    def start(self) -> None:
        attempt = self.table.start_next()
        if attempt is not None:
            attempt.begin()

    @rule(place=places)
    def acquit(self, place: int) -> None:
        if attempt := self.pick(place, State.SUSPECTED):
            assert self.table.acquit(attempt)

    @rule(place=places, outcome=outcomes)
    def end(self, place: int, outcome: Outcome) -> None:
        """A task ends, cancelled or not."""
        if attempt := self.pick(place, *ACTIVE):
            self.finish(attempt, outcome)

    @rule(place=places)
    def cancel(self, place: int) -> None:
        if attempt := self.pick(place, State.RUNNING, State.SUSPECTED):
            self.table.cancel(attempt, CancelReason.SHUTDOWN)

    @rule()
    def release_buffer(self) -> None:
        self.table.release_buffer()

    def finish(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.cancel_reason is CancelReason.LEASE_LOST:
            self.table.finish(attempt, None)
        else:
            self.produced[attempt.delivery.id].add(outcome)
            self.table.finish(attempt, Settlement(attempt.delivery, outcome))

    # ---- settle

    @precondition(lambda self: self.sent is None)
    @rule(limit=st.integers(1, 4), applied=st.booleans())
    def send(self, limit: int, applied: bool) -> None:
        batch = self.table.send(limit)
        if batch:
            settlements = [one.settlement for one in batch if one.settlement is not None]
            lost = self.broker.settle(settlements) if applied else []
            self.sent = Sent(batch, lost)
            if not applied:
                self.lose_the_answer()

    @precondition(lambda self: self.sent is not None)
    @rule()
    def answer(self) -> None:
        assert self.sent is not None
        self.table.answered(self.sent.batch, self.sent.lost)
        self.sent = None

    @precondition(lambda self: self.sent is not None)
    @rule()
    def lose_the_answer(self) -> None:
        """The call was carried out, or not, and fails."""
        assert self.sent is not None
        self.table.unanswered([one for one in self.sent.batch if one.state is State.SENT])
        self.sent = None

    @precondition(lambda self: self.sent is not None and len(self.sent.batch) > 1)
    @rule()
    def refuse_one(self) -> None:
        """The broker refuses an outcome for good."""
        assert self.sent is not None
        first, *others = self.sent.batch
        self.table.drop(first)
        self.sent.batch = others

    # ---- what always holds

    @invariant()
    def each_record_is_owned_by_one_state(self) -> None:
        table = self.table
        held = list(table)
        assert len(held) == len({id(one) for one in held})
        assert table.buffered == len(self.of(State.BUFFERED))
        assert table.running == len([one for one in self.of(*ACTIVE) if one.has_slot])
        assert table.suspected == len([one for one in self.of(*ACTIVE) if not one.has_slot])
        assert table.unsettled == len(self.of(State.FINISHED, State.SENT))
        superseded = [one for one in self.of(State.SENT) if one not in held]
        assert all(not one.ends_message for one in superseded)
        assert set(map(id, held)) == {
            id(one) for one in self.seen if one.state is not State.GONE and one not in superseded
        }

    @invariant()
    def slots_are_not_exceeded(self) -> None:
        assert 0 <= self.table.running <= SLOTS

    @invariant()
    def no_message_runs_twice_at_once(self) -> None:
        names = [one.delivery.id for one in self.of(*ACTIVE)]
        assert len(names) == len(set(names))

    @invariant()
    def what_has_an_outcome_has_a_settlement(self) -> None:
        for one in self.seen:
            has_one = one.state in (State.FINISHED, State.SENT)
            assert (one.settlement is not None) == has_one
            if one.state is State.FINISHED:
                assert one.settlement is not None
                assert one.settlement.delivery is one.delivery

    @invariant()
    def every_lease_that_matters_is_kept(self) -> None:
        kept = {(one.id, one.receipt) for one in self.table.leased()}
        for one in self.table:
            if one.cancel_reason is not CancelReason.LEASE_LOST:
                assert (one.delivery.id, one.delivery.receipt) in kept

    def teardown(self) -> None:
        """Shut down from here: nothing is left, and what ended was decided by an attempt."""
        self.table.is_stopping = lambda: True
        assert self.table.start_next() is None
        self.table.release_buffer()
        for number, attempt in enumerate(self.of(*ACTIVE)):
            self.table.cancel(attempt, CancelReason.SHUTDOWN)
            if number % 2:
                self.table.give_up(attempt)
            else:
                self.finish(attempt, Outcome.RELEASE)
        while self.sent is not None or self.table.has_finished:
            if self.sent is None:
                self.send(4, True)
            else:
                self.answer()
        assert not self.table
        assert (self.table.running, self.table.suspected, self.table.buffered) == (0, 0, 0)
        assert self.table.unsettled == 0


TestInFlight = InFlightMachine.TestCase
TestInFlight.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)


def taken(*numbers: int, attempt: int = 1) -> list[Delivery]:
    return [Delivery(str(number), "q", b"", attempt, number) for number in numbers]


def make_table(slots: int = 10, budget: int | None = None) -> InFlight:
    return InFlight("worker", slots=slots, budget=budget, max_unsettled=100)


def running(table: InFlight, delivery: Delivery) -> Attempt:
    table.admit(delivery)
    attempt = table.start_next()
    assert attempt is not None
    attempt.begin()
    return attempt


def test_an_outcome_that_waits_is_sent_under_the_new_lease() -> None:
    table = make_table()
    (first,), (second,) = taken(1), taken(1, attempt=2)
    table.finish(running(table, first), Settlement(first, Outcome.DONE))
    assert table.admit(second) is None
    assert table.leased() == [second]
    (sent,) = table.send(10)
    assert sent.settlement == Settlement(second, Outcome.DONE)


def test_a_later_delivery_of_what_waits_is_no_attempt_of_its_own() -> None:
    """Else a message whose connection is cut often would be dead before it ran."""
    table = make_table()
    (first,), (fourth,) = taken(1), taken(1, attempt=4)
    table.admit(first)
    assert table.admit(fourth) is None
    attempt = table.start_next()
    assert attempt is not None
    assert (attempt.delivery, attempt.number) == (fourth, 1)


def test_done_whose_answer_was_lost_is_sent_again_under_the_new_lease() -> None:
    table = make_table()
    (first,), (second,) = taken(1), taken(1, attempt=2)
    table.finish(running(table, first), Settlement(first, Outcome.DONE))
    table.unanswered(table.send(10))
    assert table.admit(second) is None
    (sent,) = table.send(10)
    assert sent.settlement == Settlement(second, Outcome.DONE)


def test_a_retry_that_waits_does_not_count_the_new_lease_as_an_attempt() -> None:
    table = make_table()
    (first,), (second,) = taken(1), taken(1, attempt=2)
    table.finish(running(table, first), Settlement(first, Outcome.RETRY, 60))
    assert table.admit(second) is None
    (sent,) = table.send(10)
    assert sent.settlement == Settlement(second, Outcome.RELEASE, 60)


def test_a_retry_whose_answer_was_lost_runs_when_it_comes_back() -> None:
    table = make_table()
    (first,), (second,) = taken(1), taken(1, attempt=2)
    table.finish(running(table, first), Settlement(first, Outcome.RETRY))
    table.unanswered(table.send(10))
    again = running(table, second)
    assert not table.has_finished
    assert (again.delivery, again.state) == (second, State.RUNNING)


def test_a_retry_that_comes_back_before_its_answer_runs() -> None:
    table = make_table()
    (first,), (second,) = taken(1), taken(1, attempt=2)
    table.finish(running(table, first), Settlement(first, Outcome.RETRY))
    batch = table.send(10)
    again = running(table, second)
    assert again.delivery is second
    table.answered(batch)
    assert again.state is State.RUNNING


def test_done_is_sent_again_for_what_comes_back_before_its_answer() -> None:
    table = make_table()
    (first,), (second,) = taken(1), taken(1, attempt=2)
    table.finish(running(table, first), Settlement(first, Outcome.DONE))
    batch = table.send(10)
    assert table.admit(second) is None
    assert table.answered(batch, [first]) == []
    (sent,) = table.send(10)
    assert sent.settlement == Settlement(second, Outcome.DONE)


def test_done_that_was_refused_is_sent_for_the_next_delivery_that_was_abandoned() -> None:
    table = make_table()
    (first,), (third,) = taken(1), taken(1, attempt=3)
    table.finish(running(table, first), Settlement(first, Outcome.DONE))
    ((late, _),) = table.answered(table.send(10), [first])
    assert late.state is State.GONE
    third = replace(third, abandoned=True)
    assert table.admit(third) is None
    assert [one.settlement for one in table.send(10)] == [Settlement(third, Outcome.DONE)]


def test_done_that_was_refused_is_forgotten_when_the_message_failed_elsewhere() -> None:
    table = make_table()
    (first,), (third,) = taken(1), taken(1, attempt=3)
    table.finish(running(table, first), Settlement(first, Outcome.DONE))
    table.answered(table.send(10), [first])
    assert table.admit(third) is not None


def test_a_message_that_comes_back_to_a_cancelled_attempt_is_released() -> None:
    table = make_table()
    (first,), (second,) = taken(1), taken(1, attempt=2)
    attempt = running(table, first)
    table.lose(first)
    assert table.admit(second) is None
    assert table.leased() == [second]
    (sent,) = table.send(10)
    assert sent.settlement is not None
    assert (sent.delivery, sent.settlement.outcome) == (second, Outcome.RELEASE)
    assert attempt.state is State.CANCELLED
    table.finish(attempt, None)
    table.answered([sent])
    assert not table


def test_a_budget_is_spent_by_what_ran() -> None:
    table = make_table(budget=2)
    ran, garbage = (running(table, one) for one in taken(1, 2))
    garbage.user_code_started = False
    table.finish(ran, None)
    assert table.budget == 0
    table.finish(garbage, None)
    assert (table.budget, table.done) == (1, 1)


def test_no_more_attempts_start_than_there_are_slots() -> None:
    table = make_table(slots=1)
    first = running(table, taken(1)[0])
    table.admit(taken(2)[0])
    assert table.start_next() is None
    table.finish(first, None)
    assert table.start_next() is not None


def buffered(table: InFlight, delivery: Delivery) -> Attempt:
    attempt = table.admit(delivery)
    assert attempt is not None
    return attempt


def test_what_lost_its_lease_while_it_waited_is_gone() -> None:
    table = make_table()
    (first,) = taken(1)
    buffered(table, first)
    assert table.lose(first)
    assert not table
    assert table.buffered == 0
    assert table.start_next() is None


def test_the_loss_of_a_lease_that_was_replaced_stops_nothing() -> None:
    table = make_table()
    (first,), (second,) = taken(1), taken(1, attempt=2)
    attempt = running(table, first)
    assert table.admit(second) is None
    assert not table.lose(first)
    assert (attempt.state, attempt.delivery) == (State.RUNNING, second)


def test_what_lost_its_lease_after_it_was_cancelled_is_not_released() -> None:
    table = make_table()
    (first,) = taken(1)
    attempt = running(table, first)
    table.cancel(attempt, CancelReason.SHUTDOWN)
    assert table.lose(first)
    assert table.leased() == []
    table.give_up(attempt)
    assert not table.has_finished
    assert not table


def test_an_outcome_that_is_known_without_running_frees_its_place() -> None:
    table = make_table()
    (first,) = taken(1)
    table.settle(buffered(table, first), Settlement(first, Outcome.DEAD))
    assert (table.buffered, table.unsettled) == (0, 1)
    assert table.start_next() is None


def test_what_is_released_comes_back_after_its_delay() -> None:
    table = make_table()
    (first,) = taken(1)
    table.release([buffered(table, first)], 5.0)
    assert [one.settlement for one in table.send(10)] == [Settlement(first, Outcome.RELEASE, 5.0)]


def test_a_suspect_that_is_acquitted_starts_and_spends_the_budget_once() -> None:
    table = make_table(slots=1, budget=1)
    attempt = buffered(table, taken(1)[0])
    table.suspect(attempt)
    assert (table.budget, table.suspected, table.buffered) == (0, 1, 0)
    assert table.acquit(attempt)
    assert (table.budget, table.suspected, table.buffered) == (1, 0, 1)
    assert table.start_next() is attempt
    assert table.budget == 0


def test_a_suspect_that_was_cancelled_is_not_acquitted() -> None:
    table = make_table()
    attempt = buffered(table, taken(1)[0])
    table.suspect(attempt)
    table.cancel(attempt, CancelReason.SHUTDOWN)
    assert not table.acquit(attempt)
    assert (attempt.state, table.buffered) == (State.CANCELLED, 0)


def test_a_suspect_that_left_the_line_joins_it_when_it_is_acquitted() -> None:
    table = make_table()
    attempt = buffered(table, taken(1)[0])
    table.suspect(attempt)
    assert table.start_next() is None
    table.acquit(attempt)
    assert table.start_next() is attempt


def test_a_suspect_that_loses_its_lease_is_cancelled() -> None:
    table = make_table()
    (first,) = taken(1)
    attempt = buffered(table, first)
    table.suspect(attempt)
    assert table.lose(first)
    assert (attempt.state, attempt.cancel_reason) == (State.CANCELLED, CancelReason.LEASE_LOST)


def test_an_attempt_that_was_given_up_is_released_and_ends_once() -> None:
    async def main() -> None:
        table = make_table()
        (first,) = taken(1)
        attempt = running(table, first)
        attempt.task = asyncio.create_task(asyncio.sleep(600))  # type: ignore[arg-type]
        table.cancel(attempt, CancelReason.SHUTDOWN)
        assert attempt.task.cancelling()
        table.give_up(attempt)
        table.finish(attempt, Settlement(first, Outcome.DONE))
        assert (table.running, table.done) == (0, 1)
        assert [one.settlement for one in table.send(9)] == [Settlement(first, Outcome.RELEASE)]
        await asyncio.wait([attempt.task])

    asyncio.run(main())


def test_an_attempt_is_cancelled_once() -> None:
    table = make_table()
    attempt = running(table, taken(1)[0])
    table.cancel(attempt, CancelReason.LEASE_LOST)
    table.cancel(attempt, CancelReason.SHUTDOWN)
    assert attempt.cancel_reason is CancelReason.LEASE_LOST


def test_outcomes_are_sent_in_the_order_in_which_their_attempts_ended() -> None:
    table = make_table()
    for one in taken(1, 2, 3, 4):
        table.finish(running(table, one), Settlement(one, Outcome.DONE))
    first, second, *_ = table.finished
    assert [one.delivery.id for one in table.send(1, {first, second})] == ["3"]
    again = table.send(2)
    assert [one.delivery.id for one in again] == ["1", "2"]
    table.unanswered(again)
    assert [one.delivery.id for one in table.send(10)] == ["1", "2", "4"]


def test_all_that_ends_wakes_those_that_wait() -> None:
    table = make_table()
    calls: list[str] = []
    table.on_finished = lambda: calls.append("finished")
    table.on_room = lambda: calls.append("room")
    (first,) = taken(1)
    table.finish(running(table, first), Settlement(first, Outcome.DONE))
    assert calls == ["finished", "room"]
    table.answered(table.send(1))
    assert calls == ["finished", "room", "room"]


def test_an_outcome_is_late_only_if_its_own_lease_was_lost() -> None:
    table = make_table()
    (first,), (other,) = taken(1), taken(1, attempt=7)
    table.finish(running(table, first), Settlement(first, Outcome.DONE))
    assert table.answered(table.send(1), [other]) == []
    assert not table


def test_done_that_came_again_is_sent_under_the_lease_it_has_when_no_answer_came() -> None:
    table = make_table()
    (first,), (second,) = taken(1), taken(1, attempt=2)
    table.finish(running(table, first), Settlement(first, Outcome.DONE))
    batch = table.send(1)
    assert table.admit(second) is None
    table.unanswered(batch)
    assert [one.settlement for one in table.send(1)] == [Settlement(second, Outcome.DONE)]


def test_what_the_broker_refuses_for_good_is_gone() -> None:
    table = make_table()
    (first,) = taken(1)
    table.finish(running(table, first), Settlement(first, Outcome.DONE))
    (sent,) = table.send(1)
    table.drop(sent)
    assert (bool(table), table.unsettled, sent.state) == (False, 0, State.GONE)


def test_too_many_outcomes_without_an_answer_hold_up_the_next_start() -> None:
    table = InFlight("worker", slots=10, budget=None, max_unsettled=2)
    for one in taken(1, 2):
        table.finish(running(table, one), Settlement(one, Outcome.DONE))
    table.admit(taken(3)[0])
    assert table.start_next() is None
    table.answered(table.send(1))
    assert table.start_next() is not None


def test_all_that_wait_for_a_change_are_woken() -> None:
    async def main() -> None:
        table = make_table()
        attempt = running(table, taken(1)[0])
        waiting = [asyncio.create_task(table.idle()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        table.finish(attempt, None)
        async with asyncio.timeout(5):
            await asyncio.wait(waiting)

    asyncio.run(main())
