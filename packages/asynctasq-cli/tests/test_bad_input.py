"""Bad input results in an error of one line, without secrets."""

import pytest

#: One xdist worker runs the batch of commands for all tests.
pytestmark = pytest.mark.xdist_group("bad input")

CASES: list[tuple[list[str], int, str]] = [
    (["--concurrency", "0"], 2, "concurrency must be at least 1"),
    (["--queues", " , "], 2, "--queues needs at least one name"),
    (["--driver", "memroy"], 2, "did you mean 'memory'?"),
    (["--sqlite-pth", "x"], 2, "--sqlite-path"),
    (["--processes", "0"], 2, "--processes must be at least 1"),
    (["--processes", "2", "--lease", "0"], 2, "lease must be at least 1"),
    (["--lease", "x"], 2, "is not a valid float"),
    (["--import", "nosuchmodule"], 1, "No module named 'nosuchmodule'"),
    (["--import", "broken"], 1, "importing 'broken' failed: ZeroDivisionError: division by"),
    (["--import", "leaves"], 1, "importing 'leaves' failed: SystemExit: 0"),
    (["--sqlite-path", "nowhere/x.db"], 1, "nowhere is no directory"),
    (["--sqlite-path", "tasks.py"], 1, "it is no SQLite database"),
    (["--url", "pigeon://x"], 2, "no driver reads pigeon:// URLs"),
    (["--url", "redis://[x"], 2, "url: malformed; "),
    (["redis://user:canary@host"], 2, "unexpected extra argument (redis://***@host)"),
]


@pytest.fixture(scope="module")
def answers(shared_shell):
    (shared_shell.folder / "broken.py").write_text("\n1 / 0\n")
    (shared_shell.folder / "leaves.py").write_text("raise SystemExit(0)\n")
    return shared_shell.batch(*(["worker", *words] for words, _, _ in CASES))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[" ".join(case[0]) for case in CASES])
def test_a_worker_refuses_in_one_line(answers, number: int) -> None:
    words, code, message = CASES[number]
    answer = answers[number]
    (line,) = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    assert answer.returncode == code
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
    if "broken" in words:
        assert line.endswith("broken.py:2)")


def test_debug_shows_the_traceback(shell) -> None:
    answer = shell.run("worker", "--sqlite-path", "nowhere/x.db", "--debug")
    assert "Traceback" in answer.stderr
    assert answer.returncode == 1


def test_doctor_shows_the_settings_in_force_without_secrets(shell) -> None:
    answer = shell.json("doctor", "--signing-keys", "canary", "--default-queue", "q")
    assert (answer["reachable"], answer["config"]["default_queue"]) == (True, "q")
    assert "canary" not in str(answer)
    lost = shell.run("doctor", "--sqlite-path", "nowhere/x.db")
    assert lost.returncode == 1
    assert "nowhere is no directory" in lost.stdout


def test_a_password_is_never_printed(shell) -> None:
    pytest.importorskip("asynctasq_redis")
    url = "redis://user:canary@127.0.0.1:1/0"
    options = ["--driver", "redis", "--redis-url", url, "--redis-password", "canary"]
    answer = shell.run("worker", "--debug", *options)
    assert answer.returncode == 1
    assert "cannot reach Redis" in answer.stderr + answer.stdout
    assert "canary" not in answer.stderr + answer.stdout
