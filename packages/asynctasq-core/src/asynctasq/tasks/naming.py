"""The stable name of a task: ``module:qualname``, the same for whoever imports it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def task_name(target: Callable[..., Any]) -> str:
    """``module:qualname`` of a function or class."""
    return f"{importable_module(target.__module__)}:{target.__qualname__}"


def importable_module(module: str) -> str:
    """The name under which a worker can import `module`, also when it runs as a script."""
    if module not in ("__main__", "__mp_main__"):
        return module
    main = sys.modules[module]
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m package.module
        return spec.name.removesuffix(".__main__")
    path = getattr(main, "__file__", None)
    return Path(path).stem if path else module
