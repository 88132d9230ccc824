"""The stable name of a task: ``module:qualname``, the same in every process."""

from collections.abc import Callable, Iterable
from typing import Any

from asynctasq.importing import importable_module

__all__ = ["as_aliases", "importable_module", "task_name"]


def task_name(target: Callable[..., Any]) -> str:
    """Return ``module:qualname`` of a function or class."""
    return f"{importable_module(target.__module__)}:{target.__qualname__}"


def as_aliases(aliases: Iterable[str]) -> tuple[str, ...]:
    """Return earlier names as a tuple; `aliases` may be a single string."""
    return (aliases,) if isinstance(aliases, str) else tuple(aliases)
