"""The banner of a worker: its version, settings and tasks, shown at the start."""

import logging
import sys
from collections.abc import Mapping
from importlib.metadata import version

from asynctasq.tasks.registry import registry
from asynctasq_cli.output import printable

logger = logging.getLogger("asynctasq.worker")

SHOWN_TASKS = 12


def show_banner(facts: Mapping[str, object], *, as_log: bool) -> None:
    """Print `facts` and the known tasks to standard error, or log them as one record."""
    title = f"asynctasq {version('asynctasq-core')}"
    lines = {**facts, "tasks": _known_tasks()}
    if as_log:
        logger.info("%s starts", title, extra=lines)
        return
    sys.stderr.write(f"{title}\n")
    for name, value in lines.items():
        sys.stderr.write(f"  {name:<12}{printable(value)}\n")
    sys.stderr.flush()


def _known_tasks() -> str:
    names = sorted(task.name for task in registry)
    text = (
        ", ".join(names[:SHOWN_TASKS])
        or "none yet; tasks are imported by name when messages arrive"
    )
    hidden = len(names) - SHOWN_TASKS
    return f"{text} and {hidden} more" if hidden > 0 else text
