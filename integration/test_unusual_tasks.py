"""Tasks with unusual behaviour in a worker process: other event loops, exits, child processes."""

import signal

import pytest

from asynctasq.testing.waiting import until
from integration.application import Application

pytestmark = pytest.mark.any_driver

TASKS = """

import multiprocessing, sys, threading
from contextvars import copy_context


def dispatch_in_a_loop(words):
    async def main():
        await asyncio.gather(*(note(word).dispatch() for word in words))

    asyncio.run(main())


@task(max_attempts=1)
def in_a_thread(words: list[str]):
    dispatch_in_a_loop(words)
    log("dispatched")


@task(max_attempts=1)
async def in_an_executor(words: list[str]):
    await asyncio.to_thread(dispatch_in_a_loop, words)
    log("dispatched")


@task(max_attempts=1)
def in_a_thread_of_its_own(words: list[str]):
    context = copy_context()
    thread = threading.Thread(target=lambda: context.run(dispatch_in_a_loop, words))
    thread.start()
    thread.join()
    log("dispatched")


async def leave():
    sys.exit(3)


@task(max_attempts=2, retry_delay=0.1, retry_strategy="fixed", retry_on=SystemExit)
async def let_a_child_exit():
    log(f"exit {current_context().attempt}")
    async with asyncio.TaskGroup() as group:
        group.create_task(leave())


@task(max_attempts=1)
def end_a_process():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join()
    log(f"ended {child.exitcode}")
"""

TWO_WORKERS = """
import asyncio
import signal

from asynctasq import Config, DriverFactory, Worker, run

import tasks


def handle(number, frame):
    tasks.log("the application's own")


async def main():
    signal.signal(signal.SIGTERM, handle)
    drivers = [DriverFactory.create_from_config(Config()) for _ in range(2)]
    workers = [Worker(driver, concurrency=1) for driver in drivers]
    await asyncio.gather(*(worker.start() for worker in workers))
    tasks.log("after both")


run(main())
"""


def add(application: Application, tasks: str) -> None:
    """More tasks for its module."""
    with (application.directory / "tasks.py").open("a") as file:
        file.write(tasks)


def test_other_event_loops_dispatch_once(application: Application) -> None:
    add(application, TASKS)
    ways = ("in_a_thread", "in_an_executor", "in_a_thread_of_its_own")
    calls = [
        (way, {"words": [f"{way} {n} {m}" for m in range(3)]}) for way in ways for n in range(4)
    ]
    application.dispatch(*calls)
    worker = application.start_worker()
    until(lambda: application.log().total() == 48, "all children ran")
    application.dispatch(("note", {"word": "after"}))
    until(lambda: "after" in application.log(), "the worker went on")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0, application.output()
    application.end()
    words = [word for _, kwargs in calls for word in kwargs["words"]]
    assert application.log() == {**dict.fromkeys(words, 1), "dispatched": 12, "after": 1}


def test_an_exit_of_a_child_task_is_counted_and_ends_no_worker(application: Application) -> None:
    add(application, TASKS)
    application.dispatch(("wait_for_file", {"number": 1}), ("let_a_child_exit", {}))
    application.start_worker()
    until(lambda: "exit 2" in application.log(), "its attempts are used up")
    application.dispatch(("note", {"word": "after"}))
    until(lambda: "after" in application.log(), "the worker went on")
    (application.directory / "go").touch()
    application.end(dead=1)
    assert application.log() == dict.fromkeys(["start 1", "end 1", "exit 1", "exit 2", "after"], 1)


def test_a_task_ends_a_process_that_it_forked(application: Application) -> None:
    add(application, TASKS)
    application.dispatch(*[("end_a_process", {})] * 5)
    application.start_worker()
    application.end()
    assert application.log() == {f"ended {-signal.SIGTERM}": 5}


def test_one_signal_ends_both_workers_of_a_process(application: Application) -> None:
    (application.directory / "program.py").write_text(TWO_WORKERS)
    application.dispatch(*(("wait_for_file", {"number": n}) for n in range(2)))
    program = application.start("program.py")
    until(lambda: application.log().total() == 2, "each worker has one")
    program.send_signal(signal.SIGTERM)
    until(lambda: "the application's own" in application.log(), "its handler was called")
    (application.directory / "go").touch()
    assert program.wait(30) == 0, application.output()
    ran = [f"{step} {n}" for step in ("start", "end") for n in range(2)]
    assert application.log() == dict.fromkeys([*ran, "the application's own", "after both"], 1)
    application.end()
