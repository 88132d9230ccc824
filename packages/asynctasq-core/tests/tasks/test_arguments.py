"""Arguments fit a task exactly when Python would accept the call."""

import inspect
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from asynctasq import InvalidArguments
from asynctasq.tasks.arguments import Parameters


def nothing() -> None: ...
def plain(a: Any, b: Any = 2) -> None: ...
def keywords(a: Any, *, b: Any, c: Any = 3) -> None: ...
def positional(a: Any, /, b: Any) -> None: ...
def more(a: Any, *rest: Any) -> None: ...
def named(a: Any, **rest: Any) -> None: ...
def anything(*args: Any, **kwargs: Any) -> None: ...


class Constructor:
    def __init__(self, a: Any, b: Any = 2) -> None: ...


TARGETS = (nothing, plain, keywords, positional, more, named, anything, Constructor)
KEYWORDS = ((), ("a",), ("b",), ("c",), ("self",), ("a", "b"), ("b", "c"), ("a", "b", "c"))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_what_fits_is_what_python_takes(target: Callable[..., Any]) -> None:
    signature = inspect.signature(target)
    parameters = Parameters("task", target)
    for count, names in product(range(4), KEYWORDS):
        args, kwargs = ("x",) * count, dict.fromkeys(names, "y")
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            with pytest.raises(InvalidArguments, match=r"task\(\): "):
                parameters.check(args, kwargs)
        else:
            parameters.check(args, kwargs)


def test_every_argument_is_converted_by_its_own_annotation() -> None:
    def work(a: int, *rest: int, b: float = 0.0, **others: bytes) -> None: ...

    converted = Parameters("task", work).convert(("1", "2", "3"), {"b": "1.5", "c": "x"})
    assert converted == ([1, 2, 3], {"b": 1.5, "c": b"x"})
