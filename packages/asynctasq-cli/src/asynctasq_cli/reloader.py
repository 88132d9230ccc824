"""``--reload``: restarts the worker when a source file changes, for development."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import rich_click as click

from asynctasq_cli.lifeline import Lifeline

PAUSE = 0.5
#: Seconds running tasks have to finish; then they are released.
PATIENCE = 10.0
SKIPPED = {"node_modules", "__pycache__", "venv", "site-packages"}


def reload_worker() -> int:
    """Run this command line without ``--reload``, restart after each change; returns a code."""
    arguments = [word for word in sys.argv[1:] if word != "--reload"]
    signal.signal(signal.SIGTERM, _exit)
    lifeline = Lifeline()
    while True:
        before = _snapshot()
        process = lifeline.start(arguments)
        try:
            while _snapshot() == before:
                time.sleep(PAUSE)
        finally:
            _end(process)
        click.echo("a source file changed: restarting", err=True)


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _snapshot() -> dict[str, float]:
    found: dict[str, float] = {}
    for path in _sources(Path.cwd()):
        try:
            found[str(path)] = path.stat().st_mtime
        except OSError:  # removed since it was listed
            continue
    return found


def _sources(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in SKIPPED]
        yield from (Path(folder) / name for name in files if name.endswith(".py"))


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop the worker: gracefully, then without waiting for its tasks, then by SIGKILL."""
    try:
        for _ in range(2):
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                continue
            return
    finally:  # also when Ctrl+C is pressed again
        process.kill()
        process.wait()
