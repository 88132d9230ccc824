"""Tasks and calls as users write them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from asynctasq import (
    AsyncTask,
    ConfigError,
    InvalidArguments,
    SyncProcessTask,
    SyncTask,
    TaskError,
    TaskNotFound,
    current_context,
    task,
)
from asynctasq.tasks.definition import Mode
from asynctasq.tasks.naming import importable_module
from asynctasq.tasks.registry import registry


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Names are given again and again here."""
    before = dict(registry._tasks)
    yield
    registry._tasks.clear()
    registry._tasks.update(before)


def test_a_bare_task_is_named_after_its_place() -> None:
    @task
    async def work(number: int) -> None: ...

    definition = work.definition
    assert definition.name == f"{__name__}:{work.function.__qualname__}"
    assert definition.mode is Mode.LOOP
    assert registry.find(definition.name) is definition
    assert repr(work) == f"<task {definition.name}>"


def test_options_are_kept() -> None:
    @task(name="x.y", aliases=("x.old",), queue="q", max_attempts=7, timeout=3, process=True)
    def work() -> None: ...

    definition = work.definition
    assert registry.find("x.old") is registry.find("x.y") is definition
    assert definition.mode is Mode.PROCESS
    assert (definition.options.queue, definition.options.max_attempts) == ("q", 7)


@pytest.mark.parametrize(
    "options",
    [
        {"max_attempts": 0},
        {"retry_delay": -1},
        {"timeout": 0},
        {"timeout": "5"},
        {"retry_strategy": "linear"},
        {"queue": ""},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options)).split("_")[0]):

        @task(**options)
        def work() -> None: ...


def test_two_tasks_cannot_have_one_name() -> None:
    @task(name="same")
    def one() -> None: ...

    with pytest.raises(ConfigError, match="two tasks are called 'same'"):

        @task(name="same")
        def two() -> None: ...


def test_wrong_arguments_are_refused_at_the_call() -> None:
    @task
    async def send(to: str, count: int = 1) -> None: ...

    for args, kwargs, reason in [
        ((), {}, "missing a required argument: 'to'"),
        (("a",), {"cont": 1}, "unexpected keyword argument 'cont'"),
        (("a", 1, 2), {}, "too many positional arguments"),
        ((5,), {}, "argument 'to'"),
        (("a",), {"count": "many"}, "argument 'count'"),
    ]:
        with pytest.raises(InvalidArguments, match=reason):
            send(*args, **kwargs)


def test_parameters_may_have_any_name() -> None:
    @task
    def odd(self: int, cls: int, name: int, function: int, args: int, kwargs: int, queue: int,
            delay: int, options: int) -> int:  # fmt: skip
        return self + cls + name + function + args + kwargs + queue + delay + options

    arguments = dict.fromkeys(
        ("self", "cls", "name", "function", "args", "kwargs", "queue", "delay", "options"), 1
    )
    call = odd(**arguments)
    assert call.kwargs == arguments
    assert odd.definition.prepare((), arguments).execute() == 9


def test_a_chain_makes_new_calls() -> None:
    @task
    def work() -> None: ...

    call = work()
    other = call.on_queue("q").delay(timedelta(minutes=1)).max_attempts(2).retry_after(3).timeout(4)
    assert call.options.queue is None
    options = other.options
    assert (options.queue, options.delay, options.max_attempts) == ("q", 60.0, 2)
    assert (options.retry_delay, options.timeout) == (3, 4)


@pytest.mark.parametrize(
    ("method", "value"),
    [("delay", -1), ("delay", "x"), ("max_attempts", 0), ("timeout", 0), ("on_queue", "")],
)
def test_a_chain_refuses_what_makes_no_sense(method: str, value: Any) -> None:
    @task
    def work() -> None: ...

    with pytest.raises(ConfigError):
        getattr(work(), method)(value)


def test_a_class_task_has_its_options_and_its_chain() -> None:
    @dataclass
    class Charge(AsyncTask[None]):
        order: int

        queue = "payments"
        max_attempts = 5
        timeout = 9

        async def execute(self) -> None: ...

    assert Charge.definition.options.max_attempts == 5
    charge: Any = Charge(order=1)
    call = charge.max_attempts(2).timeout(3)
    assert call.kwargs == {"order": 1}
    assert (call.options.max_attempts, call.options.timeout) == (2, 3)
    assert Charge.definition.options.queue == "payments"


@pytest.mark.parametrize("options", [{}, {"frozen": True}, {"slots": True}])
def test_any_dataclass_can_be_a_task(options: dict[str, Any]) -> None:
    @dataclass(**options)
    class Work(SyncTask[int]):
        number: int
        word: str = "x"

        def execute(self) -> int:
            return self.number

    call = Work(3, word="y").call()
    runnable = call.definition.prepare(call.args, call.kwargs)
    assert runnable.execute() == 3
    with pytest.raises(InvalidArguments, match="argument 'number'"):
        Work("three").call()  # type: ignore[arg-type]


def test_a_class_task_with_a_constructor_of_its_own() -> None:
    class Work(SyncProcessTask[int]):
        def __init__(self, number: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.number = number

        def execute(self) -> int:
            return self.number

    assert Work.definition.mode is Mode.PROCESS
    assert Work.definition.prepare((), {"number": 4}).execute() == 4


def test_a_class_without_parameters_takes_none() -> None:
    class Work(SyncTask[None]):
        def execute(self) -> None: ...

    with pytest.raises(TypeError):
        Work(1)  # type: ignore[call-arg]


def test_options_are_inherited() -> None:
    class Base(AsyncTask[None]):
        queue = "base"
        max_attempts = 9

        async def execute(self) -> None: ...

    class Derived(Base):
        queue = "derived"

    options = Derived.definition.options
    assert (options.queue, options.max_attempts) == ("derived", 9)
    assert Base.definition.options.queue == "base"


def test_an_unknown_name_says_which_is_close() -> None:
    @task(name="send_email")
    def work() -> None: ...

    with pytest.raises(TaskNotFound, match="did you mean 'send_email'"):
        registry.find("send_emial")


def test_outside_of_a_task_there_is_no_context() -> None:
    with pytest.raises(TaskError):
        current_context()


def test_a_script_has_its_importable_name(monkeypatch: pytest.MonkeyPatch) -> None:
    main = __import__("__main__")
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.setattr(main, "__file__", "/somewhere/produce.py", raising=False)
    assert importable_module("__main__") == "produce"
    assert importable_module("package.module") == "package.module"


def test_a_slotted_dataclass_keeps_its_name() -> None:
    @dataclass(slots=True)
    class Work(SyncTask[None]):
        number: int

        name = "own.name"
        aliases = "own.old"
        max_attempts = 7

        def execute(self) -> None: ...

    assert Work.definition.name == "own.name"
    assert registry.find("own.old").create is registry.find("own.name").create is Work
    assert Work.definition.options.max_attempts == 7


def test_fields_may_be_named_as_our_methods() -> None:
    @dataclass
    class Convert(SyncTask[Any]):
        mode: str
        delay: int
        call: str
        other: str

        def execute(self) -> Any:
            return self.mode, self.delay

    with pytest.raises(TypeError, match="missing 3"):
        Convert("fast")  # type: ignore[call-arg]
    arguments = {"mode": "fast", "delay": 1, "call": "x", "other": "y"}
    assert Convert.definition.mode is Mode.THREAD
    assert Convert.definition.prepare((), arguments).execute() == ("fast", 1)


@pytest.mark.parametrize(
    ("method", "value"),
    [("max_attempts", 2.5), ("delay", float("inf")), ("timeout", float("nan")), ("correlate", 5)],
)
def test_a_chain_refuses_what_no_worker_could_read(method: str, value: Any) -> None:
    @task
    def work() -> None: ...

    with pytest.raises(ConfigError):
        getattr(work(), method)(value)


def test_one_alias_need_not_be_a_tuple() -> None:
    @task(name="new", aliases="old")  # type: ignore[call-overload]
    def work() -> None: ...

    assert registry.find("old") is work.definition


def test_a_name_given_by_position_says_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r"@task\(name='x'\)"):
        task("x")  # type: ignore[call-overload]


def test_a_task_whose_alias_is_taken_is_not_registered_at_all() -> None:
    @task(name="taken")
    def one() -> None: ...

    with pytest.raises(ConfigError, match="two tasks"):

        @task(name="free", aliases=("taken",))
        def two() -> None: ...

    with pytest.raises(TaskNotFound):
        registry.find("free")
