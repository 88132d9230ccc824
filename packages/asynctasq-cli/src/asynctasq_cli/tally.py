"""Counts events by task, for the table of ``asynctasq demo``."""

from collections import Counter, defaultdict
from collections.abc import Callable

from rich.table import Table

from asynctasq.events import Event, TaskDied, TaskEvent, TaskRetried, TaskStarted, TaskSucceeded

_COLUMNS = {"runs": TaskStarted, "succeeded": TaskSucceeded, "retried": TaskRetried}


class Tally:
    """An emitter that counts events.

    Args:
        ended: called for each task that will not run again.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._counts: Counter[tuple[str, type[Event]]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._ended = ended

    async def emit(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, TaskEvent):
            self._counts[event.name, type(event)] += 1
        if isinstance(event, TaskSucceeded):
            self._seconds[event.name] += event.duration
        if isinstance(event, (TaskSucceeded, TaskDied)):
            self._ended()

    def total(self, kind: type[Event]) -> int:
        """Return the number of events of a kind, over all tasks."""
        return sum(count for (_, counted), count in self._counts.items() if counted is kind)

    def table(self) -> Table:
        """Return a table with a row for each task."""
        table = Table()
        table.add_column("task")
        for column in (*_COLUMNS, "dead", "mean time"):
            table.add_column(column, justify="right")
        for name in sorted({name for name, _ in self._counts}):
            counts = [self._counts[name, kind] for kind in (*_COLUMNS.values(), TaskDied)]
            table.add_row(name, *map(str, counts), self._mean_time(name))
        return table

    def _mean_time(self, name: str) -> str:
        succeeded = self._counts[name, TaskSucceeded]
        return f"{self._seconds[name] / succeeded * 1000:.0f} ms" if succeeded else "-"
