"""The commands on single messages: list, show, cancel, purge, requeue and enqueue."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from asynctasq import Config, DriverFactory, MsgpackSerializer
from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.serialization import Envelope, EnvelopeCodec

REFUSALS: list[tuple[list[str], int, str]] = [
    (["tasks", "list", "--state", "lost"], 2, "'lost' is not one of 'ready', 'delayed'"),
    (["tasks", "list", "--limit", "0"], 2, "'--limit'"),
    (["tasks", "show", "nobody"], 1, "no message with the id nobody"),
    (["dead", "requeue", "x", "--name", "y"], 2, "name the ids, or give filters or --all"),
    (["dead", "requeue", "x", "--all"], 2, "name the ids, or give filters or --all"),
    (["dead", "purge"], 2, "give a filter such as --name"),
    (["dead", "list", "--older-than", "soon"], 2, "'soon' is not a duration"),
    (["cancel"], 2, "Missing argument 'IDS...'"),
    (["cancel", "nobody"], 1, "nobody was not found"),
    (["cancel", "no\x1b[31mbody"], 1, r"no\x1b[31mbody was not found"),
    (["pause"], 2, "Missing argument 'QUEUES...'"),
    (["purge", "q"], 2, "Missing option '--state'"),
    (["purge", "q", "--state", "running"], 2, "'running' is not one of"),
    (["enqueue", "tasks:helo"], 1, "did you mean 'tasks:hello'?"),
    (["enqueue", "nosuch:task"], 1, "no task is called 'nosuch:task'"),
    (["enqueue", "tasks:hello", "--import", "nosuch"], 1, "No module named 'nosuch'"),
    (["enqueue", "tasks:hello", "--args", "{"], 2, "--args must be a list in JSON: Expecting"),
    (["enqueue", "tasks:hello", "--args", "{}"], 2, "--args must be a list in JSON, such as []"),
    (["enqueue", "tasks:hello", "--kwargs", "[]"], 2, "--kwargs must be an object in JSON"),
    (["enqueue", "tasks:hello", "--args", "[" * 100_000], 2, "--args must be a list in JSON"),
    (["enqueue", "tasks:hello"], 1, "missing a required argument: 'word'"),
    (["enqueue", "tasks:hello", "--args", "[[]]"], 1, "argument 'word'"),
    (["enqueue", "named", "--delay", "3w"], 2, "'3w' is not a duration"),
    (["enqueue", "named", "--queue", ""], 2, "name must be a string that is not empty"),
    (["health", "--timeout", "0"], 2, "'--timeout'"),
    (["health", "--worker-id", "w"], 1, "no live worker with the id w"),
    (["health", "--sqlite-path", "nowhere/x.db"], 1, "nowhere is no directory"),
    (["queues", "--watch", "0"], 2, "'--watch'"),
    (["queues", "--watch", "--sqlite-path", "nowhere/x.db"], 1, "nowhere is no directory"),
    (["completion", "tcsh"], 2, "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
]


@pytest.fixture(scope="module")
def answers(shared_shell):
    return shared_shell.batch(*(words for words, _, _ in REFUSALS))


@pytest.mark.parametrize("number", range(len(REFUSALS)))
def test_invalid_options_are_refused_in_one_line(answers, number: int) -> None:
    _, code, message = REFUSALS[number]
    answer = answers[number]
    (line,) = answer.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert (answer.returncode, answer.stdout) == (code, "")


def bury(shell, messages: dict[str, tuple[str, str]], body: bytes = b"body") -> None:
    """Store dead messages: id to queue and error, oldest first."""

    async def main() -> None:
        path = str(shell.folder / "asynctasq.db")
        driver = DriverFactory.create_from_config(Config(driver="sqlite", sqlite_path=path))
        await driver.connect()
        queues = sorted({queue for queue, _ in messages.values()})
        await driver.enqueue([Message(i, queue, body) for i, (queue, _) in messages.items()])
        held = {}
        while len(held) < len(messages):
            taken = await driver.dequeue(queues, limit=1000, lease=30, wait=0)
            held.update({delivery.id: delivery for delivery in taken})
        for one, (_, note) in messages.items():
            await driver.settle([Settlement(held[one], Outcome.DEAD, note=note)])
        await driver.disconnect()

    asyncio.run(main())


def test_a_call_is_stored_with_its_arguments_and_runs(shell) -> None:
    plain, delayed, elsewhere = shell.batch(
        ["enqueue", "tasks:hello", "--args", '["one"]'],
        ["enqueue", "tasks:hello", "--kwargs", '{"word": "two"}', "--delay", "10m", "--json"],
        ["enqueue", "named", "--queue", "other", "--json"],
    )
    later = json.loads(delayed.stdout)
    assert (later["task"], later["queue"]) == ("tasks:hello", "default")
    assert json.loads(elsewhere.stdout)["queue"] == "other"
    rows = shell.json("tasks", "list")
    assert [(row["id"], row["state"]) for row in rows] == [
        (plain.stdout.strip(), "ready"),
        (later["id"], "delayed"),
        (json.loads(elsewhere.stdout)["id"], "ready"),
    ]
    assert 500 < rows[1]["seconds"] <= 600
    shown, text = shell.batch(
        ["tasks", "show", later["id"], "--json"], ["tasks", "show", later["id"]]
    )
    assert json.loads(shown.stdout)["kwargs"] == {"word": "two"}
    assert "delayed" in text.stdout
    assert shell.run("worker", "--max-tasks", "1").returncode == 0
    assert shell.log() == ["one"]


def test_messages_are_listed_by_name_state_and_page(shell) -> None:
    shell.produce(*(["hello", f"{n}"] for n in range(7)), ["named"])
    last, named, other, none = shell.batch(
        ["tasks", "list", "--name", "tasks:hello", "--limit", "3", "--offset", "5", "--json"],
        ["tasks", "list", "--name", "named", "--json"],
        ["tasks", "list", "--state", "delayed", "--json"],
        ["tasks", "list", "--queue", "other"],
    )
    assert [row["task"] for row in json.loads(last.stdout)] == ["tasks:hello"] * 2
    assert [row["task"] for row in json.loads(named.stdout)] == ["named"]
    assert json.loads(other.stdout) == []
    assert none.stdout == "no such message\n"


def test_an_unreadable_body_is_shown_as_bytes(shell) -> None:
    bury(shell, {"one": ("q", "<i>why</i>\x1b[31m")})
    listed, shown, text = shell.batch(
        ["tasks", "list", "--json"], ["tasks", "show", "one", "--json"], ["tasks", "show", "one"]
    )
    (row,) = json.loads(listed.stdout)
    assert (row["task"], row["state"]) == (None, "dead")
    assert json.loads(shown.stdout)["body"] == "b'body'"
    assert "<i>why</i>" in text.stdout
    assert "\x1b" not in text.stdout


def test_arguments_that_json_does_not_support_are_shown(shell) -> None:
    envelope = Envelope("odd", ({b"k": [{(1, 2): b"v"}]},), {})
    body = EnvelopeCodec(MsgpackSerializer()).encode(envelope)
    bury(shell, {"one": ("q", "why")}, body)
    for answer in shell.batch(
        ["tasks", "show", "one", "--json"], ["dead", "show", "one", "--json"]
    ):
        assert json.loads(answer.stdout)["args"] == [{"b'k'": [{"(1, 2)": "b'v'"}]}]


def test_an_unavailable_broker_is_one_line(shell) -> None:
    pytest.importorskip("asynctasq_rabbitmq")
    options = ["--driver", "rabbitmq", "--rabbitmq-url", "amqp://127.0.0.1:1"]
    for answer in shell.batch(["health", *options], ["queues", "--watch", *options]):
        assert (answer.returncode, answer.stdout) == (1, "")
        (line,) = answer.stderr.splitlines()
        assert line.startswith("error: cannot reach RabbitMQ")


def test_dead_messages_are_chosen_by_queue_and_error(shell) -> None:
    notes = {
        "a": ("q", "ValueError: x"),
        "b": ("q", "OSError: gone\nValueError: x"),
        "c": ("r", "ValueError: y"),
        "d": ("r", "OSError: gone"),
    }
    bury(shell, notes)
    answers = shell.batch(
        ["dead", "list", "--error", "ValueError", "--json"],
        ["dead", "list", "--newer-than", "1h", "--limit", "1", "--queue", "r", "--json"],
        ["dead", "requeue", "--error", "OSError", "--queue", "q", "--dry-run"],
        ["dead", "requeue", "--error", "OSError", "--queue", "q", "--json"],
        ["dead", "purge", "--older-than", "1h", "--json"],
        ["dead", "purge", "--newer-than", "1h", "--error", "ValueError: x", "--json"],
        ["dead", "list", "--json"],
    )
    listed, latest, _, requeued, old, purged, left = (
        None if number == 2 else json.loads(answer.stdout) for number, answer in enumerate(answers)
    )
    assert {row["id"] for row in listed} == {"a", "c"}
    assert [row["id"] for row in latest] == ["d"]
    assert answers[2].stdout.endswith("1 would be requeued\n")
    assert (requeued, old, purged) == (["b"], [], ["a"])
    assert [row["id"] for row in left] == ["d", "c"]


def test_all_matching_messages_of_thousands_are_chosen(shell) -> None:
    notes = {f"id-{n}": ("q", "even" if n % 2 == 0 else "odd") for n in range(3001)}
    bury(shell, notes)
    assert shell.run("dead", "requeue", "--error", "even").stdout == "1501 requeued\n"
    (stats,) = shell.json("queues")
    assert (stats["ready"], stats["dead"]) == (1501, 1500)


def test_dead_messages_are_not_cancelled_and_waiting_ones_are(shell) -> None:
    bury(shell, {"dead": ("q", "why")})
    (waiting,) = shell.produce(["hello", "x"])
    answer = shell.run("cancel", "dead", waiting, waiting)
    assert (answer.returncode, answer.stdout) == (1, f"{waiting} removed before it ran\n")
    assert answer.stderr == "error: dead is dead; remove it with: asynctasq dead purge\n"
    assert [row["state"] for row in shell.json("tasks", "list")] == ["dead"]


def test_a_queue_is_purged_by_state(shell) -> None:
    shell.produce(["hello", "x"], ["hello", "y"])
    bury(shell, {"dead": ("q", "why")})
    (ready, left) = shell.batch(
        ["purge", "default", "--state", "ready"], ["tasks", "list", "--json"]
    )
    assert ready.stdout == "2 removed\n"
    assert [row["id"] for row in json.loads(left.stdout)] == ["dead"]


def test_a_live_worker_is_listed(shell) -> None:
    shell.produce(["wait"])
    worker = shell.start("worker", "--worker-id", "w-1", "--queues", "default,other")
    shell.until(lambda: shell.log() == ["start-0"])
    listed, plain, *health = shell.batch(
        ["workers", "--json"],
        ["workers"],
        ["health", "--worker-id", "w-1", "--queue", "other"],
        ["health", "--worker-id", "w-1", "--queue", "third"],
        ["health", "--queue", "third", "--json"],
    )
    (row,) = json.loads(listed.stdout)
    assert (row["id"], row["pid"], row["queues"]) == ("w-1", worker.pid, ["default", "other"])
    assert row["heartbeat"] >= 0
    assert "default, other" in plain.stdout
    assert [answer.returncode for answer in health] == [0, 1, 1]
    assert json.loads(health[2].stdout) == {
        "healthy": False,
        "problem": "no live worker on the queue third",
    }
    (shell.folder / "go").touch()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert shell.run("workers").stdout == "no live workers\n"


def test_watching_shows_the_change_until_interrupted(shell) -> None:
    command = [sys.executable, "-m", "asynctasq", "queues", "--watch", "0.1", "--json"]
    with subprocess.Popen(
        command, cwd=shell.folder, env=shell.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = (json.loads(line) for line in process.stdout)
        assert next(lines)["queues"] == []
        shell.produce(["hello", "x"], ["hello", "y"])
        (row,) = next(poll["queues"] for poll in lines if poll["queues"])
        assert (row["ready"], row["change"]) == (2, 2)
        (row,) = next(lines)["queues"]
        assert row["change"] == 0
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(30) == 130


def read_terminal(terminal: int, seen: list[str]) -> None:
    """Read until the other end is closed."""
    with suppress(OSError):
        while data := os.read(terminal, 4096):
            seen.append(data.decode(errors="replace"))


def test_watching_on_a_terminal_redraws_in_place(shell) -> None:
    shell.produce(["hello", "x"])
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "asynctasq", "queues", "--watch", "0.1"],
        cwd=shell.folder, env={**shell.environment, "TERM": "xterm"}, stdout=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen: list[str] = []
    reading = threading.Thread(target=read_terminal, args=(ours, seen))
    reading.start()  # the command blocks on a terminal that is not read
    try:
        shell.until(lambda: "".join(seen).count("default") > 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        reading.join()
    assert "\x1b[1A" in "".join(seen)  # moves up, to redraw
    os.close(ours)


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell, kind: str) -> None:
    script = shell.run("completion", kind).stdout
    assert f"_ASYNCTASQ_COMPLETE={kind}_complete" in script


def test_commands_are_completed(shell) -> None:
    asked = {"_ASYNCTASQ_COMPLETE": "bash_complete", "COMP_WORDS": "asynctasq que"}
    shell.environment |= {**asked, "COMP_CWORD": "1"}
    assert shell.run().stdout == "plain,queues\n"
