"""Applies outcomes: DONE by the script ``done``, all others by ``settle``."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq_redis.leases import receipts
from asynctasq_redis.messages import chunks, microseconds
from asynctasq_redis.names import Keys
from asynctasq_redis.scripts import Argument, Call


def settle_calls(
    keys: Keys, settlements: Sequence[Settlement]
) -> Iterator[tuple[Call, Sequence[Delivery]]]:
    """Yield calls that apply `settlements`, each with its deliveries."""
    done: defaultdict[str, list[Delivery]] = defaultdict(list)
    other: defaultdict[str, list[Settlement]] = defaultdict(list)
    for item in settlements:
        if item.outcome is Outcome.DONE:
            done[item.delivery.queue].append(item.delivery)
        else:
            other[item.delivery.queue].append(item)
    for queue, deliveries in done.items():
        for chunk in chunks(deliveries):
            yield Call("done", keys.of("done", queue), receipts(chunk)), chunk
    for queue, items in other.items():
        for chunk in chunks(items):
            arguments = [argument for item in chunk for argument in _outcome(item)]
            call = Call("settle", keys.of("settle", queue), arguments)
            yield call, [item.delivery for item in chunk]


def release_calls(keys: Keys, deliveries: Sequence[Delivery]) -> list[Call]:
    """Return the calls that release `deliveries`."""
    items = [Settlement(delivery, Outcome.RELEASE) for delivery in deliveries]
    return [call for call, _ in settle_calls(keys, items)]


def _outcome(item: Settlement) -> tuple[Argument, ...]:
    delivery, delay = item.delivery, microseconds(item.delay)
    receipt: Any = delivery.receipt
    return (delivery.id, receipt, item.outcome.value, delay, item.note)
