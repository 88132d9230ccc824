"""The verdicts of the quarantine, and that an examination affects no other message."""

import multiprocessing
import os
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import suspects_for_tests as tasks
from quarantine_for_tests import Open, examine, lines, pids, quarantines, suspect

from asynctasq import (
    MsgpackSerializer,
    SerializationError,
    SignatureError,
    TaskNotFound,
    TaskTimeout,
    UnknownType,
    UnsupportedVersion,
    WorkerDied,
)
from asynctasq.core.execution import quarantine
from asynctasq.core.execution.quarantine import Kind, Stage, Started, Suspect, Verdict
from asynctasq.serialization import Envelope

pytestmark = pytest.mark.anyio

KILLED = "WorkerDied('the process that {} the {} died (exit code -{}): {}')"


@pytest.fixture
async def new() -> AsyncIterator[Open]:
    async with quarantines() as new:
        yield new


async def test_what_has_more_attempts_is_only_read(new: Open, tmp_path: Path) -> None:
    what = suspect(tasks.on_loop(tmp_path / "out"), 1, correlation_id="c", enqueued_at=5.0)
    verdict, starts = await examine(new(), what)
    name = "suspects_for_tests:on_loop"
    assert verdict == Verdict(Kind.READABLE, Started(name, 2, None, "c", 5.0))
    assert starts == []
    assert lines(tmp_path / "out") == []


@pytest.mark.parametrize("mode", ["on_loop", "in_thread", "in_process", "named"])
async def test_the_last_attempt_runs_in_the_child(new: Open, tmp_path: Path, mode: str) -> None:
    path = tmp_path / "out"
    verdict, starts = await examine(new(), suspect(getattr(tasks, mode)(path), timeout=30.0))
    assert verdict.kind is Kind.DONE
    assert starts == [verdict.started]
    assert starts[0].timeout == 30.0
    assert len(pids(path)) == 1
    assert os.getpid() not in pids(path)


async def test_it_has_its_context(new: Open, tmp_path: Path) -> None:
    path = tmp_path / "out"
    what = suspect(tasks.tell_context(path), correlation_id="c", enqueued_at=5.0)
    await examine(new(), what)
    assert lines(path)[0] == (
        "TaskContext(id='id', name='suspects_for_tests:tell_context', attempt=2, max_attempts=2, "
        "queue='queue', worker_id='worker', enqueued_at=5.0, correlation_id='c')"
    )


@pytest.mark.parametrize("kind", [tasks.Hooked, tasks.HookedSync])
async def test_a_last_attempt_that_fails_is_given_up(new: Open, tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "out"
    verdict, starts = await examine(new(), suspect(kind(path, "fail", "")))
    assert (verdict.kind, repr(verdict.error)) == (Kind.FAILED, "ValueError('itself')")
    assert lines(path) == ["execute", "failed:ValueError:2"]
    assert len({*pids(path)}) == 1
    assert len(starts) == 1


@pytest.mark.parametrize("kind", [tasks.Hooked, tasks.HookedSync])
async def test_what_has_no_attempt_left_is_given_up(new: Open, tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "out"
    verdict, starts = await examine(new(), suspect(kind(path, "", ""), 3))
    assert verdict.kind is Kind.EXHAUSTED
    assert str(verdict.error).startswith("delivered 3 times, allowed are 2 attempts: its workers")
    assert isinstance(verdict.error, WorkerDied)
    assert lines(path) == ["failed:WorkerDied:3"]
    assert starts == []


@pytest.mark.parametrize("mode", ["on_loop", "in_thread", "in_process"])
async def test_what_kills_while_it_runs_kills_its_child(
    new: Open, tmp_path: Path, mode: str
) -> None:
    one = new()
    verdict, starts = await examine(one, suspect(getattr(tasks, f"kill_{mode}")()))
    assert (verdict.kind, verdict.stage) == (Kind.KILLED, Stage.RUNNING)
    assert repr(verdict.error) == KILLED.format("ran", "task", 9, "SIGKILL")
    assert starts == [verdict.started]
    assert multiprocessing.active_children() == []  # no hook, no other child
    assert (await examine(one, suspect(tasks.on_loop(tmp_path / "out"))))[0].kind is Kind.DONE


@pytest.mark.parametrize("kind", [tasks.Hooked, tasks.HookedSync])
async def test_its_hook_is_called_in_another(new: Open, tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "out"
    verdict, starts = await examine(new(), suspect(kind(path, "kill", "")))
    assert (verdict.kind, verdict.stage) == (Kind.KILLED, Stage.RUNNING)
    assert lines(path) == ["execute", "failed:WorkerDied:2"]
    assert len({*pids(path)}) == 2
    assert len(starts) == 1


@pytest.mark.parametrize("end", ["fail", "kill", "wait"])
@pytest.mark.parametrize("attempt", [2, 3])
async def test_a_hook_that_goes_wrong_changes_no_verdict(
    new: Open, tmp_path: Path, end: str, attempt: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out"
    what = suspect(tasks.HookedSync(path, "fail", end), attempt, timeout=1.0)
    verdict, _ = await examine(new(), what)
    kind, error = (Kind.FAILED, "ValueError") if attempt == 2 else (Kind.EXHAUSTED, "WorkerDied")
    assert (verdict.kind, type(verdict.error).__name__) == (kind, error)
    assert lines(path)[-1] == f"failed:{error}:{attempt}"
    assert "suspects_for_tests:HookedSync: failed() failed: " in caplog.text


@pytest.mark.parametrize("hook_end", ["", "kill"])
async def test_the_timeout_kills_the_child(new: Open, tmp_path: Path, hook_end: str) -> None:
    path = tmp_path / "out"
    what = suspect(tasks.HookedSync(path, "wait", hook_end), timeout=1.0)
    verdict, _ = await examine(new(), what)
    assert (verdict.kind, verdict.stage) == (Kind.FAILED, None)
    assert repr(verdict.error) == "TaskTimeout('longer than 1 s; its process was killed')"
    assert isinstance(verdict.error, TaskTimeout)
    assert lines(path) == ["execute", "failed:TaskTimeout:2"]
    with pytest.raises(ProcessLookupError):
        os.kill(pids(path)[0], 0)


def module(path: Path, name: str, code: str) -> dict[str, Any]:
    """Settings with which a worker may import a module of this code."""
    (path / f"{name}.py").write_text(textwrap.dedent(code))
    return {"imports": (name,)}


async def test_what_kills_while_it_is_imported_kills_its_child(
    new: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    settings = module(tmp_path, "killer_module", "import os\nos.kill(os.getpid(), 9)")
    one = new(**settings)
    for attempt in (1, 2, 3):
        verdict, starts = await examine(one, suspect(Envelope("killer_module:task"), attempt))
        assert (verdict.kind, verdict.stage, verdict.started) == (Kind.KILLED, Stage.READING, None)
        assert repr(verdict.error) == KILLED.format("read", "message", 9, "SIGKILL")
        assert starts == []


async def test_what_kills_while_it_is_read_kills_its_child(new: Open) -> None:
    serializer = MsgpackSerializer(tasks.BOMB)
    what = suspect(tasks.take(tasks.Bomb()), 1, serializer)
    verdict, _ = await examine(new(serializer=serializer), what)
    assert (verdict.kind, verdict.stage) == (Kind.KILLED, Stage.READING)
    assert repr(verdict.error) == KILLED.format("read", "message", 6, "SIGABRT")


async def test_reading_has_a_limit(
    new: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "READING_LIMIT", 1.0)
    monkeypatch.syspath_prepend(tmp_path)
    settings = module(tmp_path, "sleepy_module", "import time\ntime.sleep(60)")
    verdict, _ = await examine(new(**settings), suspect(Envelope("sleepy_module:task")))
    assert (verdict.kind, verdict.stage) == (Kind.KILLED, Stage.READING)
    assert "had not read it after 1 s" in str(verdict.error)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (suspect(Envelope("nobody:knows")).body, TaskNotFound),
        (suspect(Envelope("failing_module:task")).body, TaskNotFound),
        (suspect(tasks.take(tasks.Hue.RED)).body.replace(b"Hue", b"Hut"), UnknownType),
        (b"garbage", SerializationError),
        (MsgpackSerializer().dumps({"v": 99}), UnsupportedVersion),
    ],
    ids=["name", "import", "type", "garbage", "version"],
)
async def test_what_cannot_be_read_is_returned_with_its_error(
    new: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, error: type
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    settings = module(tmp_path, "failing_module", "raise ValueError")
    verdict, starts = await examine(new(**settings), Suspect(body, "id", "queue", 2, "worker"))
    assert (verdict.kind, type(verdict.error)) == (Kind.UNREADABLE, error)
    assert starts == []


async def test_a_wrong_signature_is_unreadable(new: Open) -> None:
    verdict, _ = await examine(new(signing_keys=("key",)), suspect(tasks.kill_on_loop()))
    assert (verdict.kind, type(verdict.error)) == (Kind.UNREADABLE, SignatureError)


async def test_the_worker_imports_nothing_of_a_suspects(
    new: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exception may come from a module that kills where it is imported."""
    monkeypatch.syspath_prepend(tmp_path)
    code = """
        from asynctasq import task
        class Odd(LookupError): ...
        @task(max_attempts=2)
        async def fail(): raise Odd("itself")
    """
    one = new(**module(tmp_path, "suspected_module", code))
    verdict, _ = await examine(one, suspect(Envelope("suspected_module:fail")))
    assert (verdict.kind, type(verdict.error).__name__) == (Kind.FAILED, "Odd")
    assert isinstance(verdict.error, LookupError)
    assert str(verdict.error) == "itself"
    assert "suspected_module" not in sys.modules


async def test_arguments_that_do_not_fit_are_a_failure(new: Open) -> None:
    what = suspect(Envelope(tasks.Hooked.definition.name, ("only one",)))
    verdict, _ = await examine(new(), what)
    assert (verdict.kind, type(verdict.error)) == (Kind.FAILED, TypeError)


async def test_a_forked_copy_gives_no_verdict(new: Open, tmp_path: Path) -> None:
    one = new()
    for _ in range(3):
        verdict, _ = await examine(one, suspect(tasks.fork()))
        assert repr(verdict.error) == "ValueError('the original')"
        assert (await examine(one, suspect(tasks.on_loop(tmp_path / "out"))))[0].kind is Kind.DONE
    assert len({*pids(tmp_path / "out")}) == 1
