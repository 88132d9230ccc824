"""``asynctasq bench``."""


def test_all_figures_are_measured_and_the_queue_is_empty_after(shell) -> None:
    figures = shell.json("bench", "--tasks", "500", "--concurrency", "20")
    assert (figures["driver"], figures["tasks"], figures["concurrency"]) == ("sqlite", 500, 20)
    assert len(figures) == 9
    assert all(value > 0 for name, value in figures.items() if name != "driver")
    assert shell.json("queues", "--queue", "asynctasq-bench")[0]["ready"] == 0
    assert shell.json("dead", "list") == []


def test_a_table_for_people(shell) -> None:
    answer = shell.run("bench", "--tasks", "100")
    assert answer.returncode == 0, answer.stderr
    assert "enqueued in bulk, tasks/s" in answer.stdout
    assert "from dispatch to start, median ms" in answer.stdout


def test_a_queue_that_is_not_empty_is_refused(shell) -> None:
    shell.produce(["hello", "world"])
    answer = shell.run("bench", "--queue", "default")
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: the queue default is not empty")
    assert shell.json("queues")[0]["ready"] == 1
