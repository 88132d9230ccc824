"""Runs the contenders in turn and prints a table with ratios."""

import argparse
import json
import os
import subprocess
from collections import defaultdict
from statistics import median
from typing import Any

from benchmarks.environments import CONTENDERS, HERE, Contender
from benchmarks.latency import measure_idle
from benchmarks.servers import fresh_broker

Figures = dict[str, float]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("broker", choices=sorted(CONTENDERS))
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    contenders = CONTENDERS[options.broker]
    versions = {contender.name: contender.install() for contender in contenders}
    results: defaultdict[str, list[Figures]] = defaultdict(list)
    for number in range(options.rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            results[contender.name].append(_round(contender, options.broker, options.tasks))
    print(f"{options.tasks} no-op tasks, one worker process, median of {options.rounds}\n")
    rows = {name: _medians(figures) for name, figures in results.items()}
    for contender in contenders:
        _print_row(contender, versions[contender.name], rows[contender.name], rows["asynctasq"])
    if options.broker == "redis":
        idle = measure_idle()
        print(f"\nan idle asynctasq worker: {idle.commands:.2f} Redis commands/s, enqueue to start "
              f"median {idle.median:.2f} ms, 95th percentile {idle.p95:.2f} ms")  # fmt: skip


def _round(contender: Contender, broker: str, tasks: int) -> Figures:
    figures: Figures = {}
    for concurrency in (100, 10):
        with fresh_broker(broker) as url:
            environment = {**os.environ, "BENCHMARK_URL": url}
            environment["BENCHMARK_CONCURRENCY"] = str(concurrency)
            enqueued = _run(contender, "enqueue", tasks, environment)
            worked = _run(contender, "work", tasks, environment)
        figures["enqueue"] = tasks / enqueued["seconds"]
        figures[f"drain {concurrency}"] = tasks / worked["seconds"]
        figures[f"cpu {concurrency}"] = worked["cpu"] / tasks * 1e6
    return figures


def _run(contender: Contender, verb: str, tasks: int, environment: dict[str, str]) -> Any:
    script = HERE / "contenders" / contender.script
    command = [str(contender.python), str(script), verb, str(tasks)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise SystemExit(f"{contender.name} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _medians(figures: list[Figures]) -> Figures:
    return {name: median(one[name] for one in figures) for name in figures[0]}


def _print_row(contender: Contender, version: str, row: Figures, ours: Figures) -> None:
    cells = [f"{contender.name} {version} ({contender.guarantee})".ljust(42)]
    cells += [
        f"{name} {row[name]:>8,.0f}/s (ours {ours[name] / row[name]:>5.1f}x)"
        for name in ("enqueue", "drain 100", "drain 10")
    ]
    cells.append(f"worker CPU {row['cpu 100']:.0f} us/task")
    print("  ".join(cells))


if __name__ == "__main__":
    main()
