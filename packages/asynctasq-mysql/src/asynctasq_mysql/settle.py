"""Applying outcomes and extending leases, each in one packet.

Rows are locked and changed by their primary key, in its order: two that settle never wait for each
other in a circle, and nobody's claim is held up.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq_mysql.claim import Receipt
from asynctasq_mysql.connection import Link
from asynctasq_mysql.literals import BY_ROW, NOW, from_now, microseconds, numbers, text
from asynctasq_mysql.names import Tables

#: Bytes of notes after which a packet takes no further settlement.
NOTES = 1024 * 1024


async def settle(link: Link, tables: Tables, settlements: Sequence[Settlement]) -> list[Delivery]:
    """Apply outcomes; return the deliveries that lost their lease."""
    unique = {_receipt(item.delivery): item for item in reversed(settlements)}
    held = await _change(link, tables, list(unique), lambda: _outcomes(tables, unique))
    lost: list[Delivery] = []
    for item in settlements:
        receipt = _receipt(item.delivery)
        if receipt in held:
            held.remove(receipt)  # a second outcome in the same batch comes too late
        else:
            lost.append(item.delivery)
    return lost


async def extend(
    link: Link, tables: Tables, deliveries: Sequence[Delivery], lease: float
) -> list[Delivery]:
    """Move the ends of leases; return the deliveries that lost theirs."""
    receipts = list({_receipt(delivery) for delivery in deliveries})
    statement = f"UPDATE {tables.queue} {BY_ROW} SET visible_at = {from_now(lease)}"
    held = await _change(link, tables, receipts, lambda: [f"{statement} WHERE {_held(receipts)}"])
    return [delivery for delivery in deliveries if _receipt(delivery) not in held]


def portions(settlements: Sequence[Settlement], limit: int) -> Iterator[Sequence[Settlement]]:
    """`settlements` in portions of at most `limit` that fit into one packet each."""
    portion: list[Settlement] = []
    size = 0
    for item in settlements:
        if portion and (size + len(item.note) > NOTES or len(portion) == limit):
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += len(item.note)
    if portion:
        yield portion


async def _change(
    link: Link,
    tables: Tables,
    receipts: Sequence[Receipt],
    changes: Callable[[], Iterable[str]],
) -> set[Receipt]:
    """Run `changes` on the rows that are held, in one transaction, and tell which those are."""
    # one row for all of them: each row of an answer costs the client as much as its task does
    lock = f"SELECT GROUP_CONCAT(seq, ':', token) FROM {tables.queue} {BY_ROW}"
    statements = [
        "START TRANSACTION",
        f"{lock} WHERE {_held(receipts)} FOR UPDATE",
        *changes(),
        "COMMIT",
    ]
    ((held,),) = (await link.run(";".join(statements)))[1]
    found: set[str] = set(held.split(",")) if held else set()
    return {receipt for receipt in receipts if f"{receipt.seq}:{receipt.token}" in found}


def _outcomes(tables: Tables, unique: dict[Receipt, Settlement]) -> Iterator[str]:
    done = [receipt for receipt, item in unique.items() if item.outcome is Outcome.DONE]
    dead = {receipt: item for receipt, item in unique.items() if item.outcome is Outcome.DEAD}
    again = {
        receipt: item
        for receipt, item in unique.items()
        if item.outcome in (Outcome.RETRY, Outcome.RELEASE)
    }
    if again:
        yield _give_back(tables, again)
    if dead:
        yield _bury(tables, dead)
    if done or dead:
        yield f"DELETE q FROM {tables.queue} q {BY_ROW} WHERE {_held([*done, *dead])}"


def _give_back(tables: Tables, items: dict[Receipt, Settlement]) -> str:
    delays = {receipt.seq: microseconds(item.delay) for receipt, item in items.items()}
    released = [receipt.seq for receipt, item in items.items() if item.outcome is Outcome.RELEASE]
    visible_at = f"{NOW} + INTERVAL {_by_row(delays)} MICROSECOND" if any(delays.values()) else NOW
    is_released = f"seq IN ({numbers(released)})" if released else "FALSE"
    return (
        f"UPDATE {tables.queue} {BY_ROW} SET attempt = attempt - ({is_released}),"
        f" abandoned = abandoned AND ({is_released}), visible_at = {visible_at}, token = NULL"
        f" WHERE {_held(list(items))}"
    )


def _bury(tables: Tables, items: dict[Receipt, Settlement]) -> str:
    notes = {receipt.seq: text(item.note) for receipt, item in items.items()}
    return (
        f"INSERT INTO {tables.dead_letters} (queue, id, body, attempt, note, died_at)"
        f" SELECT queue, id, body, attempt, {_by_row(notes)}, {NOW}"
        f" FROM {tables.queue} q {BY_ROW} WHERE {_held(list(items))} ORDER BY seq"
        " ON DUPLICATE KEY UPDATE body = q.body, attempt = q.attempt, note = VALUES(note),"
        " died_at = VALUES(died_at)"
    )


def _by_row(values: Mapping[int, object]) -> str:
    """The value that belongs to a row."""
    cases = " ".join(f"WHEN {seq} THEN {value}" for seq, value in values.items())
    return f"(CASE seq {cases} END)"


def _held(receipts: Sequence[Receipt]) -> str:
    """The condition that a row is one of these and held by its claim."""
    by_token: defaultdict[int, list[int]] = defaultdict(list)
    for receipt in receipts:
        by_token[receipt.token].append(receipt.seq)
    claims = [f"token = {token} AND seq IN ({numbers(seqs)})" for token, seqs in by_token.items()]
    if len(claims) == 1:
        return claims[0]
    everything = numbers({receipt.seq for receipt in receipts})
    return f"seq IN ({everything}) AND (({') OR ('.join(claims)}))"


def _receipt(delivery: Delivery) -> Receipt:
    return cast(Receipt, delivery.receipt)
