"""A worker process, end to end."""

import pytest

from asynctasq.drivers import State
from integration.application import Application


def test_tasks_of_all_kinds_run_once(application: Application) -> None:
    names = ("note", "note_in_thread", "note_in_process", "Greet")
    application.dispatch(*((name, {"word": name}) for name in names), ("fail", {"word": "fail"}))
    worker = application.start_worker("--burst")
    assert worker.wait(60) == 0, application.output()
    assert application.log() == {**dict.fromkeys(names, 1), "fail 1": 1, "fail 2": 1}
    assert application.stats().dead == 1
    assert "ValueError: fail" in application.browse(State.DEAD)[0].note


def test_a_script_and_a_worker_find_each_other_without_a_flag(application: Application) -> None:
    (application.directory / "produce.py").write_text(
        "from asynctasq import run, task\n"
        "from tasks import log, note\n"
        "@task\n"
        "async def own(): log('own')\n"
        "async def main():\n"
        "    await note(word='hello').dispatch()\n"
        "    await own().dispatch()\n"
        "if __name__ == '__main__':\n"
        "    run(main())\n"
    )
    assert application.start("produce.py").wait(30) == 0, application.output()
    assert application.start_worker("--burst").wait(60) == 0, application.output()
    assert application.log() == {"hello": 1, "own": 1}


def test_batch_mode_ends_after_exactly_ten(application: Application) -> None:
    application.dispatch(*(("note", {"word": str(n)}) for n in range(25)))
    assert application.start_worker("--max-tasks", "10").wait(60) == 0, application.output()
    assert sum(application.log().values()) == 10
    assert application.stats().ready == 15


@pytest.mark.any_driver
def test_no_secret_is_ever_printed(application: Application) -> None:
    canary = "canary-password"
    url = f"redis://:{canary}@localhost:1/0"
    for command in (["worker", "--log-level", "debug"], ["doctor"], ["queues", "--debug"]):
        options = ["--driver", "redis", "--redis-url", url, "--redis-password", canary]
        assert application.start("-m", "asynctasq", *command, *options).wait(30) == 1
    assert "cannot reach Redis" in application.output()
    assert canary not in application.output()
