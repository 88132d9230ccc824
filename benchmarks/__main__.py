"""Runs the contenders in turn, prints tables with ratios, and draws them."""

import argparse
import os
import platform
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.environments import Contender
from benchmarks.measure import MEASURES, Round, Samples, Scale
from benchmarks.report import draw, merge
from benchmarks.roster import CONTENDERS, OURS
from benchmarks.table import Results

FULL = Scale(tasks=20_000, stamps=300, idle=10.0)
QUICK = Scale(tasks=5_000, stamps=120, idle=5.0)
#: It takes minutes to store a million tasks: only what was asked for is measured so.
BACKLOG = "backlog"
PLOT = Path("docs/images/performance.png")


def main() -> None:
    """Measure, and print."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # and clean up first
    with tempfile.TemporaryDirectory() as folder:
        figures = options.json or Path(folder) / "figures.json"
        for broker in options.brokers:
            report = _measure(broker, options)
            merge(figures, {_part(broker, options): report})
        if options.plot is not None:
            draw(figures, options.plot)


def _measure(broker: str, options: argparse.Namespace) -> dict[str, Any]:
    contenders = _contenders(broker, options)
    versions = {one.name: one.install() for one in contenders}
    samples: defaultdict[str, Samples] = defaultdict(lambda: defaultdict(list))
    for number in range(options.rounds):
        for one in contenders if number % 2 == 0 else reversed(contenders):
            _say(f"{broker}, round {number + 1} of {options.rounds}: {one.name}")
            round_ = Round(one, broker, _scale(options), samples[one.name])
            round_.run(options.measures, _say)
    figures = {
        name: {figure: median(values) for figure, values in one.items() if values}
        for name, one in samples.items()
    }
    results = Results(contenders, versions, figures, OURS.name)
    title = _part(broker, options)
    print(f"{title} · {_today()} · {_machine()} · median of {options.rounds}\n")
    print(f"{results.tables()}\n", flush=True)
    return {
        "machine": _machine(),
        "date": _today(),
        "versions": versions,
        "samples": samples,
        "medians": figures,
        "ratios": results.ratios(),
    }


def _part(broker: str, options: argparse.Namespace) -> str:
    """What was measured, in the file of figures; the plot shows those that are a broker alone."""
    apart = [
        *([BACKLOG] if BACKLOG in options.measures else []),
        *([f"{options.tasks} tasks"] if options.tasks else []),
        *([f"{options.latency:g} ms away"] if options.latency else []),
    ]
    return ", ".join([broker, *apart])


def _contenders(broker: str, options: argparse.Namespace) -> Sequence[Contender]:
    everybody = CONTENDERS[broker]
    if options.before is not None:
        ours = next(one for one in everybody if one.name == OURS.name)
        return [ours, replace(ours, name="before", checkout=options.before.resolve())]
    alone = BACKLOG in options.measures and not options.only
    chosen = {OURS.name, *(options.only or ())}
    if not alone and not options.only:
        return everybody
    return [one for one in everybody if one.name in chosen]


def _scale(options: argparse.Namespace) -> Scale:
    scale = QUICK if options.quick else FULL
    scale = replace(scale, latency=options.latency / 1000)
    return scale if options.tasks is None else replace(scale, tasks=options.tasks)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("brokers", nargs="+", choices=sorted(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer tasks, less to rely on")
    parser.add_argument("--tasks", type=int, metavar="N", help="tasks to drain")
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="MS", help="there and back, through a proxy"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these contenders, and ours")
    parser.add_argument(
        "--before",
        type=Path,
        metavar="CHECKOUT",
        help="compare with another checkout of ours, and its .venv, instead of with others",
    )
    parser.add_argument(
        "--measures",
        nargs="+",
        choices=list(MEASURES),
        default=[one for one in MEASURES if one != BACKLOG],
        metavar="NAME",
        help=f"of {', '.join(MEASURES)}; all but the last unless told otherwise",
    )
    parser.add_argument(
        "--backlog",
        action="store_const",
        dest="measures",
        const=[BACKLOG],
        help="instead, the cost of a task with 5,000 and 1,000,000 waiting: ours, if not told",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="add all figures to this file")
    parser.add_argument(
        "--plot",
        type=Path,
        nargs="?",
        const=PLOT,
        metavar="FILE",
        help=f"draw the ratios of all brokers in the figures as a PNG; {PLOT} if not told",
    )
    return parser.parse_args()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
