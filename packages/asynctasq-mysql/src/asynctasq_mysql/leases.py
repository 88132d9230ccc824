"""Leases: receipts, the fencing by them, and extending.

Rows are locked and changed by their primary key, in its order: two batches never deadlock with each
other, and they block no claim.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, cast

from asynctasq.drivers import Delivery
from asynctasq_mysql.connection import Link
from asynctasq_mysql.literals import BY_ROW, from_now, numbers
from asynctasq_mysql.names import Tables


class Receipt(NamedTuple):
    """The fencing token: a row, and the random number of the claim that holds it."""

    seq: int
    token: int


def receipt_of(delivery: Delivery) -> Receipt:
    """Return the receipt of a delivery of this driver."""
    return cast(Receipt, delivery.receipt)


async def extend(
    link: Link, tables: Tables, deliveries: Sequence[Delivery], lease: float
) -> list[Delivery]:
    """Extend leases to `lease` seconds from now; return those whose lease was lost."""
    receipts = list({receipt_of(delivery) for delivery in deliveries})
    statement = f"UPDATE {tables.queue} {BY_ROW} SET visible_at = {from_now(lease)}"
    held = await change_held(
        link, tables, receipts, lambda: [f"{statement} WHERE {is_held(receipts)}"]
    )
    return [delivery for delivery in deliveries if receipt_of(delivery) not in held]


async def change_held(
    link: Link,
    tables: Tables,
    receipts: Sequence[Receipt],
    changes: Callable[[], Iterable[str]],
) -> set[Receipt]:
    """Lock the rows still held by `receipts`, run `changes`, and return the valid receipts.

    All of it is one transaction in one packet.
    """
    # one row for all of them: each row of a result costs the client as much as its task does
    lock = f"SELECT GROUP_CONCAT(seq, ':', token) FROM {tables.queue} {BY_ROW}"
    statements = [
        "START TRANSACTION",
        f"{lock} WHERE {is_held(receipts)} FOR UPDATE",
        *changes(),
        "COMMIT",
    ]
    ((held,),) = (await link.run(";".join(statements)))[1]
    found: set[str] = set(held.split(",")) if held else set()
    return {receipt for receipt in receipts if f"{receipt.seq}:{receipt.token}" in found}


def is_held(receipts: Sequence[Receipt]) -> str:
    """Return the condition that a row is held by one of `receipts`."""
    by_token: defaultdict[int, list[int]] = defaultdict(list)
    for receipt in receipts:
        by_token[receipt.token].append(receipt.seq)
    claims = [f"token = {token} AND seq IN ({numbers(seqs)})" for token, seqs in by_token.items()]
    if len(claims) == 1:
        return claims[0]
    rows = numbers({receipt.seq for receipt in receipts})
    return f"seq IN ({rows}) AND (({') OR ('.join(claims)}))"
