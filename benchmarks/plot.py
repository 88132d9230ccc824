"""Draws reports: how many times AsyncTasQ is better than each other. ``plot.py JSON PNG``.

A program of its own, since only its environment has matplotlib.
"""

# pyright: reportMissingImports=false
# matplotlib is in an environment of its own

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullLocator

TITLES = {
    "redis": "Redis",
    "postgres": "PostgreSQL",
    "mysql": "MySQL and MariaDB",
    "rabbitmq": "RabbitMQ",
    "sqlite": "SQLite",
}
MARKS = {
    "bulk enqueue": ("s", "#2a6f97"),
    "drain at concurrency 100": ("o", "#c8553d"),
    "worker CPU": ("D", "#588157"),
    "enqueue to start": ("^", "#8d6a9f"),
}
#: Inches: of a contender's line, and of what is around a broker's.
LINE, AROUND = 0.3, 0.75


def main(source: str, target: str) -> None:
    """Draw a panel for each broker of the report."""
    report = json.loads(Path(source).read_text())
    panels = [(name, report[name]["ratios"]) for name in TITLES if report.get(name)]
    heights = [LINE * len(ratios) + AROUND for _, ratios in panels]
    figure, axes = plt.subplots(
        len(panels),
        figsize=(9, sum(heights) + 0.6),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, (name, ratios) in zip(axes[:, 0], panels, strict=True):
        _draw(axis, TITLES[name], ratios)
    axes[-1, 0].set_xlabel("times AsyncTasQ is better (left of 1: the other is)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(MARKS), frameon=False)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)


def _draw(axis: Any, title: str, ratios: dict[str, dict[str, float]]) -> None:
    names = list(ratios)
    for measure, (marker, color) in MARKS.items():
        points = [
            (ratios[one][measure], y) for y, one in enumerate(names) if measure in ratios[one]
        ]
        axis.scatter(
            [x for x, _ in points],
            [y for _, y in points],
            marker=marker,
            color=color,
            label=measure,
            zorder=3,
        )
    axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axis.axvline(1, color="black", linewidth=1)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(axis="both", color="#dddddd", zorder=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(left=False, labelbottom=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
