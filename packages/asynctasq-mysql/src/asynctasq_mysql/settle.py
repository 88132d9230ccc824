"""Settles: applies outcomes of any kind in one packet, to the rows that are still held."""

from collections.abc import Iterator, Mapping, Sequence

from asynctasq.drivers import Delivery, Outcome, Settlement
from asynctasq_mysql.connection import Link
from asynctasq_mysql.leases import Receipt, change_held, is_held, receipt_of
from asynctasq_mysql.literals import BY_ROW, NOW, microseconds, numbers, text
from asynctasq_mysql.names import Tables

#: Bytes of notes in one packet; further settlements go into the next.
NOTES = 1024 * 1024


async def settle(link: Link, tables: Tables, settlements: Sequence[Settlement]) -> list[Delivery]:
    """Apply outcomes; return the deliveries that lost their lease."""
    unique = {receipt_of(item.delivery): item for item in reversed(settlements)}
    held = await change_held(link, tables, list(unique), lambda: _outcomes(tables, unique))
    lost: list[Delivery] = []
    for item in settlements:
        receipt = receipt_of(item.delivery)
        if receipt in held:
            held.remove(receipt)  # a second outcome in one batch is lost
        else:
            lost.append(item.delivery)
    return lost


def portions(settlements: Sequence[Settlement], limit: int) -> Iterator[Sequence[Settlement]]:
    """Split settlements into portions of at most `limit` that fit into one packet each."""
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
        yield f"DELETE q FROM {tables.queue} q {BY_ROW} WHERE {is_held([*done, *dead])}"


def _give_back(tables: Tables, items: dict[Receipt, Settlement]) -> str:
    delays = {receipt.seq: microseconds(item.delay) for receipt, item in items.items()}
    released = [receipt.seq for receipt, item in items.items() if item.outcome is Outcome.RELEASE]
    visible_at = f"{NOW} + INTERVAL {_by_row(delays)} MICROSECOND" if any(delays.values()) else NOW
    is_released = f"seq IN ({numbers(released)})" if released else "FALSE"
    return (
        f"UPDATE {tables.queue} {BY_ROW} SET attempt = attempt - ({is_released}),"
        f" abandoned = abandoned AND ({is_released}), visible_at = {visible_at}, token = NULL"
        f" WHERE {is_held(list(items))}"
    )


def _bury(tables: Tables, items: dict[Receipt, Settlement]) -> str:
    notes = {receipt.seq: text(item.note) for receipt, item in items.items()}
    return (
        f"INSERT INTO {tables.dead_letters} (queue, id, body, attempt, note, died_at)"
        f" SELECT queue, id, body, attempt, {_by_row(notes)}, {NOW}"
        f" FROM {tables.queue} q {BY_ROW} WHERE {is_held(list(items))} ORDER BY seq"
        " ON DUPLICATE KEY UPDATE body = q.body, attempt = q.attempt, note = VALUES(note),"
        " died_at = VALUES(died_at)"
    )


def _by_row(values: Mapping[int, object]) -> str:
    """Return a CASE expression with the value of each row, by `seq`."""
    cases = " ".join(f"WHEN {seq} THEN {value}" for seq, value in values.items())
    return f"(CASE seq {cases} END)"
