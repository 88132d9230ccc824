"""``asynctasq dead`` and ``asynctasq queues``."""

import asyncio
import json
import os
import pty
import subprocess
import sys

import pytest

from asynctasq import Config, DriverFactory
from asynctasq.drivers import Message, Outcome, Settlement


async def _bury(path: str, bodies: list[bytes], note: str) -> list[str]:
    """Store dead messages without a worker; returns their ids."""
    driver = DriverFactory.create_from_config(Config(driver="sqlite", sqlite_path=path))
    await driver.connect()
    try:
        ids = [f"id-{n}" for n in range(len(bodies))]
        await driver.enqueue([Message(i, "q", b) for i, b in zip(ids, bodies, strict=True)])
        left = len(bodies)
        while left:
            held = await driver.dequeue(["q"], limit=left, lease=30, wait=0)
            await driver.settle([Settlement(d, Outcome.DEAD, note=note) for d in held])
            left -= len(held)
        return ids
    finally:
        await driver.disconnect()


def bury(shell, *bodies: bytes, note: str = "why") -> list[str]:
    return asyncio.run(_bury(str(shell.folder / "asynctasq.db"), list(bodies), note))


def test_dead_messages_are_listed_shown_and_requeued(shell) -> None:
    ids = shell.produce(*(["fail", f"reason-{n}"] for n in range(3)))
    assert shell.run("worker", "--burst").returncode == 0
    answers = shell.batch(
        ["dead", "list", "--json"],
        ["dead", "show", ids[0], "--json"],
        ["dead", "show", ids[0]],
        ["dead", "requeue", ids[1], "--json"],
        ["dead", "purge", ids[0], "--yes", "--json"],
        ["queues", "--json"],
        ["dead", "list", "--queue", "default", "--json"],
        ["dead", "list", "--queue", "other", "--json"],
    )
    assert [answer.returncode for answer in answers] == [0] * 8
    listed, shown, _, requeued, purged, (stats,), left, others = (
        json.loads(answer.stdout) if n != 2 else None for n, answer in enumerate(answers)
    )
    assert {row["id"] for row in listed} == set(ids)
    assert (shown["task"], shown["args"], shown["error"]) == (
        "tasks:fail", ["reason-0"], "ValueError: reason-0",
    )  # fmt: skip
    assert "Traceback" in shown["note"]
    assert "reason-0" in answers[2].stdout
    assert (requeued, purged) == ([ids[1]], [ids[0]])
    assert (stats["queue"], stats["ready"], stats["dead"]) == ("default", 1, 1)
    assert ([row["id"] for row in left], others) == ([ids[2]], [])


def test_unknown_ids_change_nothing(shell) -> None:
    (known,) = bury(shell, b"body")
    unknown, neither, left = shell.batch(
        ["dead", "requeue", known, "nobody"], ["dead", "requeue"], ["dead", "list", "--json"]
    )
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "error: no dead message with the id: nobody\n",
    )
    assert (neither.returncode, neither.stderr) == (
        2,
        "error: name the ids, give a filter such as --name, or use --all\n",
    )
    assert [row["id"] for row in json.loads(left.stdout)] == [known]


def test_all_of_many_are_requeued(shell) -> None:
    bury(shell, *[b"body"] * 1201)
    assert shell.run("dead", "requeue", "--all").stdout == "1201 requeued\n"
    (stats,) = shell.json("queues")
    assert (stats["ready"], stats["dead"]) == (1201, 0)


def test_an_unreadable_body_is_shown_as_bytes(shell) -> None:
    (one,) = bury(shell, b"\xc1garbage")
    (row,) = shell.json("dead", "list")
    assert (row["task"], row["error"]) == (None, "why")
    assert r"\xc1garbage" in shell.json("dead", "show", one)["body"]


@pytest.mark.parametrize("depth", [50, 400, 900, 1000])
def test_deeply_nested_arguments_are_shown_or_unreadable(shell, depth: int) -> None:
    body = b"\x83\xa1v\x01\xa1t\xa7tasks:x\xa1a" + b"\x91" * depth + b"\x90"
    (one,) = bury(shell, body)
    as_json, plain = shell.batch(["dead", "show", one, "--json"], ["dead", "show", one])
    assert (as_json.returncode, plain.returncode) == (0, 0), as_json.stderr + plain.stderr
    shown = json.loads(as_json.stdout)
    assert shown["task"] == "tasks:x"
    assert ("args" in shown) != ("unreadable" in shown)
    assert "args" in shown or depth > 500


def test_control_characters_do_not_reach_the_terminal(shell) -> None:
    (dead,) = bury(shell, b"body", note="\x1b[31mred\x07")
    for answer in shell.batch(["dead", "list"], ["dead", "show", dead]):
        assert "red" in answer.stdout
        assert "\x1b" not in answer.stdout
        assert "\x07" not in answer.stdout


@pytest.mark.parametrize("words", [["dead", "purge", "--all"], ["purge", "q", "--state", "dead"]])
@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 1, 1), (b"y\n", 0, 0)])
def test_purge_asks_on_a_terminal(
    shell, words: list[str], answer: bytes, code: int, left: int
) -> None:
    bury(shell, b"body")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "asynctasq", *words],
        cwd=shell.folder, env=shell.environment, stdin=theirs,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.write(ours, answer)
    assert process.wait(30) == code
    os.close(ours)
    os.close(theirs)
    assert len(shell.json("dead", "list")) == left
