"""Extends leases, and finds the deliveries that lost theirs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from asynctasq.drivers import Delivery
from asynctasq_redis.messages import chunks
from asynctasq_redis.names import Keys
from asynctasq_redis.scripts import Argument, Call


def extend_calls(
    keys: Keys, deliveries: Sequence[Delivery], lease: int
) -> Iterator[tuple[Call, Sequence[Delivery]]]:
    """Yield calls that extend leases to `lease` microseconds, each with its deliveries."""
    by_queue: defaultdict[str, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        by_queue[delivery.queue].append(delivery)
    for queue, held in by_queue.items():
        for chunk in chunks(held):
            yield Call("extend", keys.of("extend", queue), [lease, *receipts(chunk)]), chunk


def receipts(deliveries: Sequence[Delivery]) -> list[Argument]:
    """Return the ids, then the receipts, as ``extend`` and ``done`` take them."""
    ids: list[Argument] = [delivery.id for delivery in deliveries]
    tokens: list[Any] = [delivery.receipt for delivery in deliveries]
    return [*ids, *tokens]


def lost(replies: Iterable[object], parts: Iterable[Sequence[Delivery]]) -> list[Delivery]:
    """Return the deliveries whose positions, from 1, the reply to their call contains."""
    return [
        deliveries[position - 1]
        for reply, deliveries in zip(replies, parts, strict=True)
        for position in cast(Sequence[int], reply)
    ]
