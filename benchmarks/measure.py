"""One round of one contender: its script run against fresh brokers."""

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.environments import Contender
from benchmarks.processes import processor_seconds
from benchmarks.scripts import Failed, Load, Running, Scripts
from benchmarks.servers import fresh_broker

Samples = defaultdict[str, list[float]]

#: Seconds after which a script hangs.
PATIENCE = 180.0
#: The same while a million tasks are stored.
LONG_PATIENCE = 1800.0
#: Tasks of 50 ms: at concurrency 100, two seconds at best.
NAPS = 4000
#: Tasks of 50 ms in a second that are half of what a hundred at once allow.
NAP_RATE = 1000
#: Three seconds of them.
BUSY_STAMPS = 3 * NAP_RATE
#: How many tasks wait, at least, while the cost of one is measured.
BACKLOGS = (5_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured, and how far from the broker.

    Attributes:
        tasks: to drain.
        stamps: sent one by one.
        idle: seconds of idleness.
        latency: seconds from a client to the broker and back.
    """

    tasks: int
    stamps: int
    idle: float
    latency: float = 0.0


class Round:
    """Adds the figures of one round of `contender` to `samples`."""

    def __init__(self, contender: Contender, broker: str, scale: Scale, samples: Samples) -> None:
        self._contender = contender
        self._broker = broker
        self._scale = scale
        self._samples = samples
        self._tasks = max(1000, scale.tasks // contender.slowness)

    def run(self, measures: Sequence[str], complain: Callable[[str], None]) -> None:
        """Measure all of `measures`; what fails is said and left out."""
        for name in measures:
            try:
                MEASURES[name](self)
            except Failed as error:
                complain(str(error))

    def drain(self) -> None:
        """No-op tasks, at two concurrencies."""
        for concurrency in (100, 10):
            with self._fresh() as scripts:
                self._enqueue(scripts, Load(concurrency))
                self._work(scripts, str(concurrency), Load(concurrency))

    def idle(self) -> None:
        """An idle worker's cost, and how soon it starts a task; then storing in many calls."""
        with self._fresh() as scripts:
            with scripts.start("serve", self._scale.stamps, Load(concurrency=10)) as serving:
                serving.read()
                self._watch_idle(scripts, serving.pid)
                scripts.run("send", self._scale.stamps)
                delays = serving.read()["delays"]
            each = scripts.run("each", self._tasks // 10)
            at_once = scripts.run("concurrent", self._tasks)
        self._add_delays("latency", delays)
        self._add("enqueue each", self._tasks // 10 / each["seconds"])
        self._add("enqueue concurrent", self._tasks / at_once["seconds"])

    def nap(self) -> None:
        """Tasks that wait for 50 ms."""
        self._other("nap", min(NAPS, self._tasks))

    def busy(self) -> None:
        """How soon a task of 50 ms starts where half of what a worker can run is running."""
        slow = [one for one in self._samples["nap"] if one < NAP_RATE]
        if "nap" not in self._contender.tasks or slow:
            return  # this would be more than half of what it can run
        with self._fresh() as scripts:
            load = Load(task="nap", pause=1 / NAP_RATE)
            with scripts.start("serve", BUSY_STAMPS, load) as serving:
                serving.read()
                scripts.run("send", BUSY_STAMPS, load)
                self._add_delays("busy", serving.read()["delays"])

    def process(self) -> None:
        """No-op tasks that are run by other processes."""
        self._other("process", self._tasks // 4)

    def thread(self) -> None:
        """No-op tasks that are not asynchronous."""
        self._other("thread", self._tasks)

    def pair(self) -> None:
        """No-op tasks, shared by two processes."""
        with self._fresh() as scripts, ExitStack() as stack:
            scripts.run("enqueue", self._tasks)
            pair = [stack.enter_context(scripts.start("share", self._tasks)) for _ in range(2)]
            self._add("drain by two", self._tasks / self._share(pair))

    def backlog(self) -> None:
        """No-op tasks while few and many more wait."""
        for rows in BACKLOGS:
            with self._fresh(LONG_PATIENCE) as scripts:
                scripts.run("enqueue", rows + self._tasks)
                self._work(scripts, f"with {rows}", Load())
        for figure in ("seconds", "worker cpu", "broker cpu"):
            few, many = (self._samples[f"{figure} with {rows}"] for rows in BACKLOGS)
            if few and many:
                self._add(f"{figure} growth", many[-1] / few[-1])

    def _watch_idle(self, scripts: Scripts, worker: int) -> None:
        broker = scripts.broker
        before, broker_before = processor_seconds(worker), broker.cpu()
        commands = broker.count_commands(self._scale.idle, worker)
        broker_after, after = broker.cpu(), processor_seconds(worker)
        self._add("idle worker cpu", 1000 * (after - before) / self._scale.idle)
        if broker_before is not None and broker_after is not None:
            self._add("idle broker cpu", 1000 * (broker_after - broker_before) / self._scale.idle)
        if commands is not None and not self._scale.latency:  # else the proxy's are not seen
            self._add("idle commands", commands / self._scale.idle)

    def _add_delays(self, name: str, delays: Sequence[float]) -> None:
        hundredths = quantiles(delays, n=100)
        self._add(f"{name} p50", median(delays))
        self._add(f"{name} p95", hundredths[94])
        self._add(f"{name} p99", hundredths[98])

    def _other(self, task: str, count: int) -> None:
        if task in self._contender.tasks:
            load = Load(task=task)
            with self._fresh() as scripts:
                scripts.run("enqueue", count, load)
                self._add(task, count / scripts.run("work", count, load)["seconds"])

    def _enqueue(self, scripts: Scripts, load: Load) -> None:
        seconds = scripts.run("enqueue", self._tasks, load)["seconds"]
        self._add("enqueue", self._tasks / seconds)

    def _work(self, scripts: Scripts, suffix: str, load: Load) -> None:
        before = scripts.broker.cpu()
        worked = scripts.run("work", self._tasks, load)
        after = scripts.broker.cpu()
        self._add(f"drain {suffix}", self._tasks / worked["seconds"])
        self._add(f"seconds {suffix}", worked["seconds"])
        self._add(f"worker cpu {suffix}", 1e6 * worked["cpu"] / self._tasks)
        self._add(f"memory {suffix}", worked["memory"] / 1e6)
        if before is not None and after is not None:
            self._add(f"broker cpu {suffix}", 1e6 * (after - before) / self._tasks)

    def _share(self, pair: Sequence[Running]) -> float:
        """Seconds in which both together ran all."""
        for one in pair:
            one.read()
        started = time.monotonic()
        for one in pair:
            one.tell()
        while True:
            time.sleep(0.01)
            answers = [one.ask() for one in pair]
            if sum(one["hits"] for one in answers) >= self._tasks:
                return max(one["moment"] for one in answers) - started

    def _add(self, name: str, value: float) -> None:
        self._samples[name].append(value)

    @contextmanager
    def _fresh(self, patience: float = PATIENCE) -> Generator[Scripts, None, None]:
        contender = self._contender
        with fresh_broker(self._broker, contender.leaves, self._scale.latency) as broker:
            scripts = Scripts(contender, broker, patience)
            if contender.prepares:
                scripts.run("prepare", 0)
            yield scripts


#: What can be measured, in the order in which it is.
MEASURES: dict[str, Callable[[Round], None]] = {
    "drain": Round.drain,
    "idle": Round.idle,
    "pair": Round.pair,
    "nap": Round.nap,
    "busy": Round.busy,
    "thread": Round.thread,
    "process": Round.process,
    "backlog": Round.backlog,
}
