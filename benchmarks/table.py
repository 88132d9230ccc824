"""The figures as a Markdown table, with how many times ours is better in brackets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.environments import Contender

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure; whether more of it is better, and how it is written."""

    name: str
    title: str
    more_is_better: bool
    pattern: str = "{:,.0f}"

    def cell(self, theirs: Figures, ours: Figures) -> str:
        """The figure, and the ratio if it is another's."""
        if self.name not in theirs:
            return "-"
        text = self.pattern.format(theirs[self.name])
        good, bad = ours.get(self.name), theirs[self.name]
        if not self.more_is_better:
            good, bad = bad, good
        return text if theirs is ours or not good or not bad else f"{text} ({good / bad:.1f}x)"


COLUMNS = (
    Column("enqueue", "bulk enqueue, tasks/s", more_is_better=True),
    Column("drain 100", "drain at concurrency 100, tasks/s", more_is_better=True),
    Column("drain 10", "drain at 10, tasks/s", more_is_better=True),
    Column("worker cpu 100", "worker CPU, µs/task", more_is_better=False),
    Column("broker cpu 100", "broker CPU, µs/task", more_is_better=False),
    Column("latency p50", "enqueue to start, median ms", more_is_better=False, pattern="{:.2f}"),
    Column("latency p95", "95th percentile ms", more_is_better=False, pattern="{:.2f}"),
    Column("idle commands", "idle commands/s", more_is_better=False, pattern="{:.1f}"),
)


def table(
    contenders: Sequence[Contender],
    versions: Mapping[str, str],
    results: Mapping[str, Figures],
    reference: str,
) -> str:
    """A row for each contender; `reference` is ours."""
    ours = results[reference]
    columns = [one for one in COLUMNS if one.name in ours]
    lines = [
        _line(["", *(column.title for column in columns), "when a worker dies"]),
        _line(["---", *("---:" for _ in columns), "---"]),
    ]
    for contender in contenders:
        if figures := results.get(contender.name):
            cells = [column.cell(figures, ours) for column in columns]
            title = f"{contender.name} {versions[contender.name]}"
            lines.append(_line([title, *cells, contender.guarantee]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
