"""``retry_on`` and ``give_up_on``: one class, or several in any form."""

from collections.abc import Iterator
from typing import Any, Union

import pytest

from asynctasq import AsyncTask, ConfigError, task
from asynctasq.core.execution.retry import RetryPolicy
from asynctasq.tasks.options import TaskOptions


def generate() -> Iterator[type[Exception]]:
    yield ValueError
    yield OSError


BOTH = (ValueError, OSError)
FORMS = [
    BOTH,
    list(BOTH),
    generate(),
    {ValueError: 1, OSError: 2},
    (ValueError, (OSError,)),
    [[ValueError], [[OSError]]],
    ValueError | OSError,
    Union[ValueError, OSError],  # noqa: UP007 - the older form
    (ValueError | OSError,),
]


@pytest.mark.parametrize("name", ["retry_on", "give_up_on"])
@pytest.mark.parametrize("form", [pytest.param(form, id=str(n)) for n, form in enumerate(FORMS)])
def test_several_classes_may_come_in_any_form(name: str, form: Any) -> None:
    if form is FORMS[2]:
        form = generate()  # which is used up by its first test
    assert getattr(TaskOptions(**{name: form}), name) == BOTH


def test_a_set_is_fine_too() -> None:
    assert set(TaskOptions(retry_on={*BOTH}).retry_on) == {*BOTH}  # type: ignore[arg-type]


@pytest.mark.parametrize("base", [ValueError, BaseException, KeyboardInterrupt])
def test_one_class_is_taken_as_it_is_meant(base: type[BaseException]) -> None:
    assert TaskOptions(retry_on=base).retry_on == (base,)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", [(), [], set()])
def test_none_at_all_is_fine(form: Any) -> None:
    assert TaskOptions(retry_on=form, give_up_on=form).retry_on == ()


class Endless(list[object]):
    def __iter__(self) -> Any:
        return iter([self])


BAD: list[Any] = [
    None,
    "ValueError",
    b"ValueError",
    ["ValueError"],
    int,
    [int],
    ValueError("an instance"),
    [ValueError, ValueError()],
    object(),
    5,
    True,
    lambda error: True,
    int | str,
    ValueError | None,
    ExceptionGroup[ValueError],
    Endless(),
]


@pytest.mark.parametrize("name", ["retry_on", "give_up_on"])
@pytest.mark.parametrize("bad", [pytest.param(bad, id=str(n)) for n, bad in enumerate(BAD)])
def test_all_else_is_refused_at_the_decoration(name: str, bad: Any) -> None:
    with pytest.raises(
        ConfigError, match=f"{name} must be an exception class or several"
    ) as caught:

        @task(**{name: bad})  # type: ignore[call-overload]
        async def bad_task() -> None: ...

    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=name):
        type("Bad", (AsyncTask,), {name: bad, "execute": lambda self: None})


def test_class_tasks_take_the_same_and_inherit_it() -> None:
    class Base(AsyncTask[None]):
        retry_on = [ValueError, OSError]  # noqa: RUF012
        give_up_on = KeyError

    class Derived(Base):
        give_up_on = frozenset([IndexError])

    assert Base.definition.options.retry_on == BOTH
    assert Base.definition.options.give_up_on == (KeyError,)
    assert Derived.definition.options.retry_on == BOTH
    assert Derived.definition.options.give_up_on == (IndexError,)


def test_a_policy_judges_by_them() -> None:
    options = TaskOptions(retry_on=[OSError], give_up_on=ConnectionError)  # type: ignore[arg-type]
    policy = RetryPolicy(
        max_attempts=3, delay=0, retry_on=options.retry_on, give_up_on=options.give_up_on
    )
    errors = [OSError(), ConnectionError(), ValueError()]
    assert [policy.allows(1, error) for error in errors] == [True, False, False]
