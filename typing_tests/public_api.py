"""The types of the public API: checked by pyright, never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from dataclasses import dataclass
from typing import assert_type

from asynctasq import (
    AsyncTask,
    FunctionTask,
    SyncTask,
    TaskCall,
    TaskHandle,
    Worker,
    dispatch_many,
    task,
)
from asynctasq.drivers import BaseDriver
from asynctasq.events import Event, TaskDied


@task
async def send(to: str, count: int = 1) -> int:
    return count


@task(queue="reports", max_attempts=3)
def report(year: int) -> str:
    return str(year)


@dataclass
class Charge(AsyncTask[bool]):
    order: int

    queue = "payments"
    max_attempts = 5

    async def execute(self) -> bool:
        return True


@dataclass
class Store(SyncTask[str]):
    number: int

    def execute(self) -> str:
        return ""


def a_call_is_typed_as_its_function() -> None:
    assert_type(send(to="a"), TaskCall[int])
    assert_type(report(2026), TaskCall[str])
    assert_type(send(to="a").on_queue("q").delay(1), TaskCall[int])
    assert_type(Charge(order=1).on_queue("q"), TaskCall[bool])
    _: FunctionTask[[int], str] = report


def a_wrong_argument_is_an_error() -> None:
    send(to=5)  # pyright: ignore[reportArgumentType]
    send()  # pyright: ignore[reportCallIssue]
    report("x")  # pyright: ignore[reportArgumentType]
    Charge(order="x")  # pyright: ignore[reportArgumentType]
    task(queues="x")  # pyright: ignore[reportCallIssue]


async def dispatch_gives_handles() -> None:
    assert_type(await send(to="a").dispatch(), TaskHandle)
    assert_type(report(1).dispatch_sync(), TaskHandle)
    assert_type(await Charge(order=1).dispatch(), TaskHandle)
    assert_type(await dispatch_many([send(to="a"), report(1)]), list[TaskHandle])
    assert_type(await dispatch_many([Charge(order=1), Store(1)]), list[TaskHandle])
    assert_type(await dispatch_many([Charge(order=1), send(to="a")]), list[TaskHandle])
    assert_type(await dispatch_many(Charge(order=n) for n in range(3)), list[TaskHandle])
    await dispatch_many([send])  # pyright: ignore[reportArgumentType]
    await dispatch_many([Charge])  # pyright: ignore[reportArgumentType]


async def class_tasks_share_a_transaction(connection: object) -> None:
    assert_type(await Charge(order=1).dispatch(connection=connection), TaskHandle)
    assert_type(Store(1).dispatch_sync(connection=connection), TaskHandle)
    assert_type(await dispatch_many([Charge(1)], connection=connection), list[TaskHandle])
    await Charge(order=1).dispatch(connection)  # pyright: ignore[reportCallIssue]


def exceptions_are_one_class_or_several() -> None:
    task(retry_on=ValueError, give_up_on=[KeyError, OSError])
    task(retry_on={ValueError}, give_up_on=(KeyError,))
    task(retry_on="ValueError")  # pyright: ignore[reportArgumentType]
    task(retry_on=[ValueError()])  # pyright: ignore[reportArgumentType]


class Pager:
    async def emit(self, event: Event) -> None:
        if isinstance(event, TaskDied):
            assert_type(event.error, str)


def an_emitter_needs_no_base_class(driver: BaseDriver) -> None:
    Worker(driver, emitters=[Pager()])
    Worker(driver, emitters=[object()])  # pyright: ignore[reportArgumentType]
