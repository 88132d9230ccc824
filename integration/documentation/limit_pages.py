"""The reference page of drivers: the capabilities and limits that each one declares."""

import math
from collections.abc import Callable

from asynctasq.drivers import (
    Control,
    Diagnostics,
    Inspector,
    Limits,
    Migrator,
    State,
    TransactionalEnqueue,
    Workers,
    registry,
)
from integration.documentation.setting_pages import DRIVERS
from integration.documentation.tables import MADE, page, table

INTRODUCTION = """\
# What each driver can do

The facts that each driver declares, tested by the contract suite on real brokers. Their
consequences when things break are in [Guarantees](../guarantees.md)."""

_YEAR = 365 * 86400.0
_CAPABILITIES: dict[str, type] = {
    "counts queues, shows and requeues dead tasks": Inspector,
    "pauses queues, cancels running tasks": Control,
    "lists live workers": Workers,
    "stores tasks in your own transaction": TransactionalEnqueue,
    "has tables to migrate": Migrator,
    "is checked by `asynctasq doctor`": Diagnostics,
}
_LIMITS: dict[str, Callable[[Limits], str]] = {
    "keeps what is stored when processes end": lambda it: _yes(it.durable),
    "stores the same id once": lambda it: _yes(it.unique_ids),
    "a dead worker's tasks come back": lambda it: (
        "when the lease ends" if it.leases_outlive_connections else "at once"
    ),
    "a late outcome counts, if no worker took the message over": lambda it: _yes(it.late_settle),
    "leases are rounded up to": lambda it: _step(it.lease_step),
    "longest body": lambda it: _bytes(it.max_body),
    "longest delay": lambda it: _delay(it.max_delay),
    "most messages in one fetch": lambda it: f"{it.dequeue_batch}",
    "shows tasks that wait or run": lambda it: _yes(State.READY in it.inspects),
    "counts are exact at once": lambda it: _yes(it.exact_counts),
}


def limits_page() -> str:
    """The whole page."""
    classes = [registry.driver_class(name) for name in DRIVERS]
    head = ["", *(f"[{name}](../drivers/{name}.md)" for name in DRIVERS)]
    can = [
        [text, *(_yes(issubclass(driver, capability)) for driver in classes)]
        for text, capability in _CAPABILITIES.items()
    ]
    limits = [
        [text, *(cell(driver.limits) for driver in classes)] for text, cell in _LIMITS.items()
    ]
    return page([MADE], [INTRODUCTION], table(head, [*can, *limits]), [_FOOTNOTE])


_FOOTNOTE = """\
The longest body of `mysql` is that of a server whose `max_allowed_packet` is 16 MiB: a little less
than half of it. With `rabbitmq_management_url` the counts of `rabbitmq` lag for seconds."""


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _bytes(count: int) -> str:
    """In MiB, rounded to a tenth."""
    return f"{round(count / 2**20, 1):g} MiB"


def _step(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _delay(seconds: float) -> str:
    if math.isinf(seconds):
        return "any"
    return f"{seconds / _YEAR:.0f} years"
