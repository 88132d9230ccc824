"""The receipts of held messages, and the extension of their leases."""

import json
from collections.abc import Sequence
from typing import NamedTuple, cast

from asynctasq.drivers.base_driver import Delivery
from asynctasq.drivers.sqlite.database import Database, micros

HELD = """
    SELECT json_group_array(asked.key)
    FROM json_each(?) AS asked CROSS JOIN messages
    ON seq = json_extract(asked.value, '$[0]') AND receipt = json_extract(asked.value, '$[1]')
"""

EXTEND = "UPDATE messages SET visible_at = ? WHERE seq IN (SELECT value FROM json_each(?))"


class Receipt(NamedTuple):
    """The fencing token: a row, and the random number of the claim that holds it."""

    seq: int
    token: int


def extend(db: Database, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
    """Extend leases; return the deliveries whose lease was lost."""
    db.begin()
    receipts = held(db, deliveries)
    rows = [receipt.seq for receipt in receipts]
    db.execute(EXTEND, [db.now() + micros(lease), json.dumps(rows)])
    return [delivery for delivery in deliveries if delivery.receipt not in receipts]


def held(db: Database, deliveries: Sequence[Delivery]) -> set[Receipt]:
    """Return the receipts of those `deliveries` that still have their lease."""
    receipts = [cast(Receipt, delivery.receipt) for delivery in deliveries]
    positions = json.loads(db.value(HELD, [json.dumps(receipts)]))
    return {receipts[position] for position in positions}
