"""A worker whose broker dies under it, or is not there yet."""

import signal
import time
from pathlib import Path

from integration.application import Application, until
from integration.redis_server import MakeRedis


def test_a_worker_outlives_its_broker(make_redis: MakeRedis, tmp_path: Path) -> None:
    server = make_redis("--appendonly", "yes", "--appendfsync", "always")
    server.start()
    application = Application(tmp_path, {"driver": "redis", "redis_url": server.url})
    try:
        application.dispatch(("note", {"word": "before"}))
        application.dispatch(*(("wait_for_file", {"number": n}) for n in range(5)))
        worker = application.start_worker("--lease", "3")
        until(lambda: len(application.log()) == 6, "the tasks have started")
        server.kill()
        (tmp_path / "go").touch()  # they end while nobody can be told
        until(lambda: application.log()["end 4"] == 1, "the tasks have ended")
        until(lambda: "outcomes wait" in application.output(), "the worker noticed")
        time.sleep(4)  # longer than the lease: nobody else is there to take them over
        server.start()
        until(lambda: "is back" in application.output(), "the worker is back")
        application.dispatch(("note", {"word": "after"}))
        until(lambda: application.log()["after"] == 1, "it works as before")
        until(lambda: application.stats().running == 0, "all is settled")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        stats = application.stats()
        assert (stats.ready, stats.delayed, stats.dead) == (0, 0, 0)
        started = [application.log()[f"start {n}"] for n in range(5)]
        assert started == [1] * 5
    finally:
        application.close()


def test_a_worker_says_that_its_broker_is_not_there_yet(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server = make_redis()
    application = Application(tmp_path, {"driver": "redis", "redis_url": server.url})
    try:
        assert application.start_worker().wait(30) == 1
        assert f"cannot reach Redis at {server.url}" in application.output()
        assert "Traceback" not in application.output()
        server.start()
        application.dispatch(("note", {"word": "hello"}))
        assert application.start_worker("--burst").wait(60) == 0, application.output()
        assert application.log() == {"hello": 1}
    finally:
        application.close()
