"""Events, metrics, traces and logs of a worker process, on real brokers."""

import json
import re
import signal
from http.client import HTTPConnection

import pytest

from asynctasq.drivers import State
from asynctasq.testing.ports import free_port
from asynctasq.testing.waiting import until
from integration.application import Application
from integration.redis_server import MakeRedis


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


def start(application: Application, *options: str) -> int:
    """Start a worker with metrics; returns its port."""
    port = free_port()
    application.start_worker(f"--metrics-port={port}", "--metrics-host=127.0.0.1", *options)
    until(lambda: get(port, "/healthz")[0] == 200, "the worker is healthy")
    return port


def stop(application: Application) -> None:
    for process in application._processes:  # pyright: ignore[reportPrivateUsage]
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, application.output()


def test_metrics_show_tasks_and_queues(application: Application) -> None:
    pytest.importorskip("prometheus_client")
    port = start(application)
    names = ("note", "note_in_thread", "note_in_process")
    application.dispatch(*((name, {"word": name}) for name in names), ("fail", {"word": "fail"}))
    found = {
        *(f'outcome="succeeded",queue="default",task="tasks:{name}"' for name in names),
        'outcome="retried",queue="default",task="tasks:fail"',
        'outcome="dead",queue="default",task="tasks:fail"',
    }
    lines = {f"asynctasq_tasks_total{{{labels}}} 1.0" for labels in found}
    until(lambda: lines <= {*get(port, "/metrics")[1].splitlines()}, "all is counted")
    dead = r'^asynctasq_queue_messages\{queue="default",state="dead"\} 1\.0$'
    until(
        lambda: bool(re.search(dead, get(port, "/metrics")[1], re.MULTILINE)),
        "the broker's counts are shown",
    )
    stop(application)
    assert application.browse(State.DEAD)


@pytest.mark.parametrize("application", ["sqlite", "redis"], indirect=True)
def test_events_are_published(application: Application, make_redis: MakeRedis) -> None:
    from redis import Redis

    server = make_redis()
    server.start()
    url = application.settings.get("redis_url", server.url)
    application.worker_settings["redis_url"] = url
    application.worker_settings |= {"redis_events_channel": f"events-{application.directory.name}"}
    with Redis.from_url(url, decode_responses=True) as client, client.pubsub() as pubsub:
        pubsub.subscribe(application.worker_settings["redis_events_channel"])
        application.dispatch(("note", {"word": "x"}))
        worker = application.start_worker("--burst", "--emit", "redis")
        assert worker.wait(60) == 0, application.output()
        kinds: list[str] = []
        while "worker_offline" not in kinds:
            message = pubsub.get_message(ignore_subscribe_messages=True, timeout=10)
            if message is not None:
                kinds.append(json.loads(message["data"])["event"])
    tasks = [kind for kind in kinds if kind.startswith("task_")]
    assert tasks == ["task_started", "task_succeeded"]
