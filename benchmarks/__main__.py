"""Runs the contenders in turn and prints a table with ratios."""

import argparse
import json
import os
import platform
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.measure import Failed, Round, Samples, Scale
from benchmarks.roster import CONTENDERS, OURS
from benchmarks.table import table

FULL = Scale(tasks=20_000, stamps=200, idle=10.0)
QUICK = Scale(tasks=5_000, stamps=60, idle=5.0)


def main() -> None:
    """Measure, and print."""
    options = _options()
    chosen = set(options.only or (one.name for one in CONTENDERS[options.broker]))
    contenders = [one for one in CONTENDERS[options.broker] if one.name in chosen or one is OURS]
    versions = {one.name: one.install() for one in contenders}
    samples: defaultdict[str, Samples] = defaultdict(lambda: defaultdict(list))
    scale = QUICK if options.quick else FULL
    for number in range(options.rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            _say(f"round {number + 1} of {options.rounds}: {contender.name}")
            try:
                Round(contender, options.broker, scale, samples[contender.name]).run()
            except Failed as error:
                _say(str(error))
    results = {name: {k: median(v) for k, v in one.items()} for name, one in samples.items()}
    print(f"{_today()} · {_machine()} · median of {options.rounds}\n")
    print(table(contenders, versions, results, OURS.name))
    if options.json is not None:
        report = {"machine": _machine(), "date": _today(), "versions": versions, "samples": samples}
        options.json.write_text(json.dumps({**report, "medians": results}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("broker", choices=sorted(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer tasks, less to rely on")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these contenders, and ours")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    return parser.parse_args()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
