"""The figures as Markdown tables, with how many times ours is better in brackets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.environments import Contender

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure; whether more of it is better, and how it is written."""

    name: str
    title: str
    more_is_better: bool = False
    pattern: str = "{:,.0f}"

    def ratio(self, theirs: Figures, ours: Figures) -> float | None:
        """How many times ours is better; None where that cannot be told."""
        good, bad = ours.get(self.name), theirs.get(self.name)
        if not self.more_is_better:
            good, bad = bad, good
        return good / bad if good and bad else None

    def cell(self, theirs: Figures, ours: Figures) -> str:
        """The figure, and the ratio if it is another's."""
        if self.name not in theirs:
            return "-"
        text = self.pattern.format(theirs[self.name])
        ratio = self.ratio(theirs, ours)
        return text if theirs is ours or ratio is None else f"{text} ({ratio:.1f}x)"


THROUGHPUT = (
    Column("enqueue each", "enqueue one by one, tasks/s", more_is_better=True),
    Column("enqueue concurrent", "by 100 calls at once, tasks/s", more_is_better=True),
    Column("enqueue", "bulk enqueue, tasks/s", more_is_better=True),
    Column("drain 100", "drain at concurrency 100, tasks/s", more_is_better=True),
    Column("drain 10", "drain at 10, tasks/s", more_is_better=True),
    Column("drain by two", "drain by two processes, tasks/s", more_is_better=True),
    Column("nap", "tasks of 50 ms, tasks/s", more_is_better=True),
    Column("thread", "in threads, tasks/s", more_is_better=True),
    Column("process", "in processes, tasks/s", more_is_better=True),
)
COST = (
    Column("worker cpu 100", "worker CPU, µs/task"),
    Column("broker cpu 100", "broker CPU, µs/task"),
    Column("memory 100", "worker memory, MB"),
    Column("latency p50", "enqueue to start, median ms", pattern="{:.2f}"),
    Column("latency p95", "95th percentile ms", pattern="{:.2f}"),
    Column("latency p99", "99th percentile ms", pattern="{:.2f}"),
    Column("idle commands", "idle commands/s", pattern="{:.1f}"),
    Column("idle worker cpu", "idle worker CPU, ms/s", pattern="{:.2f}"),
    Column("idle broker cpu", "idle broker CPU, ms/s", pattern="{:.2f}"),
)
BUSY = (
    Column("busy p50", "enqueue to start at half load, median ms", pattern="{:.2f}"),
    Column("busy p95", "95th percentile ms", pattern="{:.2f}"),
    Column("busy p99", "99th percentile ms", pattern="{:.2f}"),
)
BACKLOG = (
    Column("drain with 5000", "drain with 5,000 waiting, tasks/s", more_is_better=True),
    Column("drain with 1000000", "with 1,000,000, tasks/s", more_is_better=True),
    Column("seconds growth", "time, times as much", pattern="{:.2f}"),
    Column("worker cpu with 5000", "worker CPU with 5,000, µs/task"),
    Column("worker cpu with 1000000", "with 1,000,000, µs/task"),
    Column("broker cpu with 5000", "broker CPU with 5,000, µs/task"),
    Column("broker cpu with 1000000", "with 1,000,000, µs/task"),
)
TABLES = (THROUGHPUT, COST, BUSY, BACKLOG)
#: What the plot shows.
HIGHLIGHTS = (THROUGHPUT[2], THROUGHPUT[3], COST[0], COST[3])


@dataclass(frozen=True, slots=True)
class Results:
    """The medians of one broker's contenders; `reference` is the name of ours."""

    contenders: Sequence[Contender]
    versions: Mapping[str, str]
    figures: Mapping[str, Figures]
    reference: str

    def tables(self) -> str:
        """Those of which something was measured."""
        found = (self._table(columns) for columns in TABLES)
        return "\n\n".join(one for one in found if one)

    def ratios(self) -> dict[str, dict[str, float]]:
        """How many times ours is better than each other, by the title of what is compared."""
        ours = self.figures.get(self.reference, {})
        return {
            self._title(one): {
                column.title.partition(",")[0]: ratio
                for column in HIGHLIGHTS
                if (ratio := column.ratio(self.figures[one.name], ours)) is not None
            }
            for one in self.contenders
            if one.name != self.reference and one.name in self.figures
        }

    def _table(self, columns: Sequence[Column]) -> str:
        measured = {name for figures in self.figures.values() for name in figures}
        shown = [one for one in columns if one.name in measured]
        if not shown:
            return ""
        ours = self.figures.get(self.reference, {})
        lines = [
            _line(["", *(column.title for column in shown), "when a worker dies"]),
            _line(["---", *("---:" for _ in shown), "---"]),
        ]
        for one in self.contenders:
            if figures := self.figures.get(one.name):
                cells = [column.cell(figures, ours) for column in shown]
                lines.append(_line([self._title(one), *cells, one.guarantee]))
        return "\n".join(lines)

    def _title(self, one: Contender) -> str:
        return f"{one.name} {self.versions[one.name]}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
