"""``asynctasq demo``."""


def test_the_demo_loses_nothing_and_ignores_the_environment(shell) -> None:
    shell.environment |= {
        "ASYNCTASQ_URL": "sqlite:///mine.db",
        "ASYNCTASQ_DEFAULT_QUEUE": "mine",
        "ASYNCTASQ_DEFAULT_TIMEOUT": "0.001",
        "ASYNCTASQ_IMPORTS": "nosuchmodule",
    }
    answer = shell.run("demo")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "348 succeeded, 46 retries, 6 dead, 0 left in the queue" in answer.stdout
    assert "every task did its work exactly once" in answer.stdout
    assert not (shell.folder / "mine.db").exists()
