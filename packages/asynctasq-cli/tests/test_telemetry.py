"""``--emit``, ``--metrics-port``, ``--otel``, and task fields in logs."""

import json
import re
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from asynctasq.testing.ports import free_port

MINE = """
class Mine:
    def __init__(self, config):
        self.file = open("events.txt", "a")

    async def emit(self, event):
        self.file.write(event.kind + "\\n")

    async def close(self):
        self.file.close()
"""

POOL = """
import logging
from asynctasq import task

@task(process=True)
def speak():
    logging.getLogger("app").info("from the pool", extra={"customer": 7})

@task
async def lead():
    await speak().dispatch()
"""


def get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_events_are_emitted_by_name_and_by_your_own_object(shell) -> None:
    (shell.folder / "mine.py").write_text(MINE)
    shell.produce(["hello", "x"])
    done = shell.run("worker", "--burst", "--emit", "logging", "--emit", "mine:Mine")
    assert done.returncode == 0, done.stderr
    kinds = (shell.folder / "events.txt").read_text().split()
    tasks = ["task_started", "task_succeeded"]
    assert [kind for kind in kinds if kind.startswith("task_")] == tasks
    assert (kinds[0], kinds[-1]) == ("worker_online", "worker_offline")
    for kind in tasks:
        assert re.search(
            rf"INFO    {kind} tasks:hello .*id=\S+ queue=default attempt=1", done.stderr
        )


def test_an_unknown_emitter_is_one_line(shell) -> None:
    done = shell.run("worker", "--emit", "loging")
    assert done.returncode == 2
    assert re.fullmatch(r"error: unknown emitter 'loging'; known are logging.*\n", done.stderr)


def test_metrics_and_health_are_served(shell) -> None:
    pytest.importorskip("prometheus_client")
    port = free_port()
    shell.produce(["hello", "x"], ["fail", "y"])
    worker = shell.start("worker", "--metrics-port", str(port), "--metrics-host", "127.0.0.1")
    dead = 'asynctasq_tasks_total{outcome="dead",queue="default",task="tasks:fail"} 1.0'
    shell.until(lambda: dead in get(port, "/metrics")[1])
    assert get(port, "/healthz") == (200, "healthy\n")
    assert f"http://127.0.0.1:{port}/metrics" in shell.stderr()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_each_process_has_a_port_of_its_own(shell) -> None:
    pytest.importorskip("prometheus_client")
    port = free_pair()
    fleet = shell.start(
        "worker", "--processes", "2", f"--metrics-port={port}", "--metrics-host", "127.0.0.1"
    )
    shell.until(lambda: all(get(port + n, "/healthz")[0] == 200 for n in range(2)))
    fleet.send_signal(signal.SIGTERM)
    assert fleet.wait(30) == 0


def free_pair() -> int:
    """A free port whose successor is free, too."""
    while True:
        port = free_port()
        try:
            socket.create_server(("127.0.0.1", port + 1)).close()
        except OSError:
            continue
        return port


@pytest.mark.parametrize("more", [[], ["--processes", "2"], ["--reload"]])
def test_a_port_in_use_is_one_line(shell, more: list[str]) -> None:
    pytest.importorskip("prometheus_client")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell.run(
            "worker", "--metrics-host", "127.0.0.1", "--metrics-port", str(port), *more
        )
    assert done.returncode == 1
    assert re.fullmatch(
        rf"error: cannot listen on 127.0.0.1:{port}: .* in use; choose another .*\n", done.stderr
    )


@pytest.mark.parametrize(
    ("module", "option", "extra"),
    [
        ("prometheus_client", ["--metrics-port", "0"], "prometheus"),
        ("opentelemetry", ["--otel"], "otel"),
        ("opentelemetry", ["--otel", "--processes", "2"], "otel"),
    ],
)
def test_a_missing_extra_has_the_install_command(
    shell, module: str, option: list[str], extra: str
) -> None:
    script = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from asynctasq_cli.main import run; sys.exit(run())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "worker", *option],
        cwd=shell.folder, env=shell.environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith(f"pip install 'asynctasq[{extra}]'\n")
    assert done.stderr.count("\n") == 1


def test_a_task_in_the_pool_logs_with_its_fields(shell) -> None:
    (shell.folder / "tasks.py").write_text(POOL)
    (handle,) = shell.produce(["lead"])
    done = shell.run("worker", "--burst", "--log-format", "json")
    (record,) = [line for line in lines(done.stderr) if line["message"] == "from the pool"]
    assert (record["task_name"], record["queue"], record["attempt"], record["customer"]) == (
        "tasks:speak", "default", 1, 7,
    )  # fmt: skip
    assert record["correlation_id"] == handle
    settled = next(x for x in lines(done.stderr) if x["message"].startswith("tasks:speak done"))
    assert settled["task_id"] == record["task_id"]
    assert settled["correlation_id"] == handle


def test_a_given_correlation_id_is_on_every_line(shell) -> None:
    (shell.folder / "produce.py").write_text(
        "from asynctasq import run\nimport tasks\n"
        "run(tasks.named().correlate('order-7').dispatch())\n"
    )
    shell.produce()
    done = shell.run("worker", "--burst", "--log-format", "json")
    ids = [line.get("correlation_id") for line in lines(done.stderr) if "task_id" in line]
    assert ids == ["order-7"] * 2


def test_otel_enables_tracing(shell) -> None:
    pytest.importorskip("opentelemetry.sdk")
    (shell.folder / "tasks.py").write_text(
        Path(shell.folder / "tasks.py").read_text() + "\nfrom opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor\n"
        "provider = TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))\n"
        "trace.set_tracer_provider(provider)\n"
    )
    shell.produce(["hello", "x"])
    assert "process default" not in shell.run("worker", "--burst").stdout
    shell.produce(["hello", "x"])
    done = shell.run("worker", "--burst", "--otel")
    assert '"name": "process default"' in done.stdout, done.stderr
