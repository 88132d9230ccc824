"""Imports the application: its directory, and the modules that define tasks."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from asynctasq.errors import TaskError
from asynctasq.importing import importer

CONVENTION = "tasks"


class ImportFailed(TaskError):
    """A module of the application fails to import."""


def open_application(modules: Sequence[str]) -> None:
    """Put the working directory first on ``sys.path``, and allow `modules` to be imported."""
    here = str(Path.cwd())
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)
    importer.allow(modules)


def import_tasks(modules: Sequence[str]) -> None:
    """Import `modules`, or ``tasks`` of the working directory if there are none.

    Raises:
        ImportFailed: a module fails to import; the text has the original error and its place.
    """
    open_application(modules)
    for module in modules or _convention():
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as error:  # a module may raise anything while it loads
            raise ImportFailed(f"importing {module!r} failed: {_describe(error)}") from error


def _convention() -> list[str]:
    here = Path.cwd()
    present = (here / f"{CONVENTION}.py").is_file() or (here / CONVENTION / "__init__.py").is_file()
    return [CONVENTION] if present else []


def _describe(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if len(frames) > 1 else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"
