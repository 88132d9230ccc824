"""A long run of mixed work on private servers, with faults at random: ``python -m ... --help``.

Exits with 1 when a task is lost, or when something grows: memory, connections or threads of the
workers, or what the broker stores for a queue that is empty.
"""

import argparse
import asyncio
import itertools
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from asynctasq import Config, DriverFactory
from asynctasq.drivers import Message
from asynctasq.errors import BrokerError
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.faults.load import LOUD, body, enqueue
from integration.faults.proxy import Proxy
from integration.faults.servers import KINDS, Server
from integration.faults.vitals import Vitals, complaints, vitals

#: Tasks of one round, and the workers that share them.
ROUND, WORKERS = 60, 2
#: Seconds between two faults.
CALM = 4.0
#: What a worker may have more at the end than at the first look: bytes, sockets, threads.
GROWTH = Vitals(sockets=8, threads=8, memory=48 * 1024 * 1024)
KINDS_OF_TASKS = ("note", "note_in_thread", "note_in_process", "Greet")


class Soak:
    """One run on one driver."""

    def __init__(self, driver: str, folder: Path, stack: ExitStack, seed: int) -> None:
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.looks: list[tuple[float, Vitals, int]] = []
        self.server, self.proxy, settings = _place(driver, folder, stack)
        self.application = Application(folder, settings)
        # a task that is harmless may have its worker killed again and again
        self.application.worker_settings["default_max_attempts"] = "20"
        stack.callback(self.application.close)
        self._prepare(driver)
        self._numbers = itertools.count()
        self.workers = [self._worker() for _ in range(WORKERS)]
        self.started = time.monotonic()
        self.expected: set[str] = set()
        self.dead = 0

    def run(self, seconds: float) -> list[str]:
        """Work for this many seconds, and return the problems found."""
        calm = self.started + CALM
        while time.monotonic() < self.started + seconds:
            self._dispatch()
            self._look()
            if time.monotonic() > calm:
                self._fault()
                calm = time.monotonic() + CALM
            until(lambda: len(self._missing()) < 5 * ROUND, "it keeps up", 120.0)
        until(lambda: not self._missing(), "all have run", 180.0)
        until(lambda: self._stored() == 0, "all is settled", 60.0)
        self._look()
        return list(self._wrong())

    def _dispatch(self) -> None:
        """A round of all kinds of tasks, some delayed, one that fails permanently."""
        words = [f"{len(self.expected) + n}" for n in range(ROUND)]
        calls = [
            Message(
                word, "default", body(self.chance.choice(KINDS_OF_TASKS), word=word), self._due()
            )
            for word in words
        ]
        failing = f"failing-{self.dead}"
        calls.append(Message(failing, "default", body("fail", word=failing)))
        try:
            enqueue(self.application, calls)
        except BrokerError:  # by our own fault; the same ids may be there, so they do not count
            self.done["refused rounds"] += 1
            return
        self.expected.update(words)
        self.dead += 1

    def _due(self) -> float:
        return self.chance.choice((0.0, 0.0, 0.0, 1.0, 3.0))

    def _fault(self) -> None:
        faults: list[tuple[str, Callable[[], object]]] = [("a worker is killed", self._kill_worker)]
        if self.proxy is not None:
            faults += [
                ("connections are cut", self.proxy.cut),
                ("connections are lost", self.proxy.lose),
                ("packets vanish", self._vanish),
            ]
        if self.server is not None and self.application.settings["driver"] != "sqs":
            faults.append(("the broker is killed", self._kill_broker))
        name, work = self.chance.choice(faults)
        self.done[name] += 1
        work()

    def _kill_worker(self) -> None:
        self.workers.pop(0).kill()
        self.workers.append(self._worker())

    def _kill_broker(self) -> None:
        assert self.server is not None
        self.server.kill()
        self.server.start()

    def _vanish(self) -> None:
        assert self.proxy is not None
        self.proxy.vanish = True
        time.sleep(2)
        self.proxy.vanish = False

    def _worker(self) -> "subprocess.Popen[str]":
        options = ("--concurrency", "10", "--lease", "3", "--log-level", "warning")
        worker = self.application.start(*LOUD, "-m", "asynctasq", "worker", *options)
        number = next(self._numbers)
        until(lambda: self.application.is_up(number), "the worker is up", 60.0)
        return worker

    def _prepare(self, driver: str) -> None:
        if driver in ("postgres", "mysql"):
            made: Any = DriverFactory.create_from_config(Config(**self.application.settings))
            asyncio.run(made.migrate())

    def _missing(self) -> set[str]:
        log = self.application.log()
        return {word for word in self.expected if not log[word]}

    def _stored(self) -> int:
        return self.application.stats().unfinished

    def _look(self) -> None:
        peak = Vitals()
        for worker in self.workers:
            peak = peak.peak(vitals(worker.pid))
        self.looks.append((time.monotonic() - self.started, peak, self._stored()))

    def _wrong(self) -> Sequence[str]:
        found = [f"lost: {word}" for word in self._missing()]
        early = self.looks[len(self.looks) // 4][1]
        late = self.looks[-1][1]
        for name in ("sockets", "threads", "memory"):
            before, after = getattr(early, name), getattr(late, name)
            if after - before > getattr(GROWTH, name):
                found.append(f"{name} grew from {before:,} to {after:,}")
        dead = self.application.stats().dead
        if dead < self.dead:
            found.append(f"dead letters lost: {self.dead - dead}")
        return found + [f"a worker says: {one}" for one in complaints(self.application.output())]


def _place(
    driver: str, folder: Path, stack: ExitStack
) -> tuple[Server | None, Proxy | None, dict[str, str]]:
    """A server of the run's own, a proxy before it, and the settings that lead there."""
    if driver == "sqlite":
        return None, None, {"driver": "sqlite", "sqlite_path": str(folder / "queue.db")}
    server = KINDS[driver][0](folder)
    stack.callback(server.kill)
    server.start()
    proxy = Proxy(server.port)
    stack.callback(proxy.close)
    url = server.url.replace(f":{server.port}", f":{proxy.port}")
    return server, proxy, _settings(driver, url)


def _settings(driver: str, url: str) -> dict[str, str]:
    if driver == "sqs":
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return {"driver": driver, "sqs_endpoint_url": url, "sqs_region": "us-east-1", **keys}
    if driver == "rabbitmq":
        return {"driver": driver, "rabbitmq_url": f"{url}?heartbeat=2"}
    return {"driver": driver, f"{driver}_{'url' if driver == 'redis' else 'dsn'}": url}


def _table(looks: Sequence[tuple[float, Vitals, int]]) -> str:
    """About ten of the samples, evenly spread."""
    step = max(1, len(looks) // 10)
    lines = ["|   after | memory | sockets | threads | stored |", "|" + "---:|" * 5]
    lines += [
        f"| {at:5.0f} s | {now.memory / 2**20:3.0f} MB | {now.sockets:7} | {now.threads:7} |"
        f" {stored:6} |"
        for at, now, stored in [*looks[:-1:step], looks[-1]]
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m integration.faults.soak", description=__doc__)
    parser.add_argument("--driver", choices=["sqlite", *KINDS], required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as name, ExitStack() as stack:
        soak = Soak(options.driver, Path(name), stack, options.seed)
        wrong = soak.run(options.minutes * 60)
        print(f"\n{options.driver}, seed {options.seed}: {len(soak.expected):,} tasks")  # noqa: T201
        print(", ".join(f"{count} x {fault}" for fault, count in soak.done.items()))  # noqa: T201
        print(_table(soak.looks))  # noqa: T201
        print("\n".join(wrong) or "nothing was lost, nothing grew")  # noqa: T201
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
