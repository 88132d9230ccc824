"""One round of one contender: its script run against fresh brokers."""

import json
import os
import subprocess
import threading
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from benchmarks.environments import HERE, Contender
from benchmarks.servers import Broker, fresh_broker

Samples = defaultdict[str, list[float]]

#: A script that takes longer hangs.
PATIENCE = 120.0
CONCURRENCIES = (100, 10)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: tasks to drain, tasks sent one by one, seconds of idleness."""

    tasks: int
    stamps: int
    idle: float


class Failed(Exception):
    """A contender's script did not do its work."""


class Round:
    """Adds the figures of one round of `contender` to `samples`."""

    def __init__(self, contender: Contender, broker: str, scale: Scale, samples: Samples) -> None:
        self._contender = contender
        self._broker = broker
        self._scale = scale
        self._samples = samples
        self._tasks = max(1000, scale.tasks // contender.slowness)

    def run(self) -> None:
        """Measure all."""
        for concurrency in CONCURRENCIES:
            with fresh_broker(self._broker) as broker:
                self._drain(broker, concurrency)
        with fresh_broker(self._broker) as broker:
            self._idle(broker)

    def _drain(self, broker: Broker, concurrency: int) -> None:
        enqueued = self._run("enqueue", self._tasks, broker, concurrency)
        before = broker.cpu()
        worked = self._run("work", self._tasks, broker, concurrency)
        after = broker.cpu()
        self._add("enqueue", self._tasks / enqueued["seconds"])
        self._add(f"drain {concurrency}", self._tasks / worked["seconds"])
        self._add(f"worker cpu {concurrency}", 1e6 * worked["cpu"] / self._tasks)
        if before is not None and after is not None:
            self._add(f"broker cpu {concurrency}", 1e6 * (after - before) / self._tasks)

    def _idle(self, broker: Broker) -> None:
        with self._script("serve", self._scale.stamps, broker, concurrency=10) as serving:
            self._read(serving)
            commands = broker.count_commands(self._scale.idle)
            self._run("send", self._scale.stamps, broker, concurrency=10)
            delays = self._read(serving)["delays"]
        if commands is not None:
            self._add("idle commands", commands / self._scale.idle)
        self._add("latency p50", median(delays))
        self._add("latency p95", quantiles(delays, n=20)[-1])

    def _add(self, name: str, value: float) -> None:
        self._samples[name].append(value)

    def _run(self, verb: str, count: int, broker: Broker, concurrency: int) -> Any:
        with self._script(verb, count, broker, concurrency) as script:
            return {} if verb == "send" else self._read(script)

    @contextmanager
    def _script(
        self, verb: str, count: int, broker: Broker, concurrency: int
    ) -> "Generator[subprocess.Popen[str], None, None]":
        path = HERE / "contenders" / self._contender.script
        command = [str(self._contender.python), str(path), verb, str(count)]
        settings = {"BENCHMARK_URL": broker.url, "BENCHMARK_CONCURRENCY": str(concurrency)}
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env={**os.environ, **settings}, stdout=pipe, stderr=pipe, text=True
        ) as script:
            limit = threading.Timer(PATIENCE, script.kill)  # whatever this process waits for
            limit.start()
            try:
                yield script
                script.wait()
            finally:
                limit.cancel()
                script.kill()
            if script.returncode != 0:
                raise Failed(f"{self._contender.name} {verb}: {_last_line(script)}")

    def _read(self, script: "subprocess.Popen[str]") -> Any:
        assert script.stdout is not None
        line = script.stdout.readline()
        if not line:
            raise Failed(f"{self._contender.name} ended early: {_last_line(script)}")
        return json.loads(line)


def _last_line(script: "subprocess.Popen[str]") -> str:
    assert script.stderr is not None
    lines = script.stderr.read().strip().splitlines()
    return lines[-1] if lines else f"it was killed after {PATIENCE:g} s, or said nothing"
