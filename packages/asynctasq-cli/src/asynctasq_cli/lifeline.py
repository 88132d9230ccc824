"""Starts child processes that never outlive their parent.

Each child holds the read end of a pipe whose write end only its parent has: when the parent dies,
even by SIGKILL, the pipe closes, and the child shuts down gracefully.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

PIPE_VARIABLE = "ASYNCTASQ_CLI_LIFELINE"


class Lifeline:
    """A pipe, and the child processes that watch it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def start(self, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Start ``asynctasq ARGUMENTS``."""
        return subprocess.Popen(
            [sys.executable, "-m", "asynctasq", *arguments],
            env={**os.environ, PIPE_VARIABLE: str(self._reading)},
            pass_fds=[self._reading],
            start_new_session=True,  # Ctrl+C reaches the child once, forwarded by the parent
        )

    def cut(self) -> None:
        """Close the pipe: children that are still running shut down."""
        os.close(self._writing)
        os.close(self._reading)


def stop_with_parent() -> None:
    """Send SIGTERM to this process when its parent is gone, if a `Lifeline` started it."""
    descriptor = os.environ.pop(PIPE_VARIABLE, None)
    if descriptor is None:
        return

    def watch() -> None:
        os.read(int(descriptor), 1)  # returns when the writing end closes
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="asynctasq-lifeline", daemon=True).start()


def without_options(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the command line without these options and their values."""
    remaining = iter(words)
    kept: list[str] = []
    for word in remaining:
        if word in names:
            next(remaining, None)
        elif word.partition("=")[0] not in names:
            kept.append(word)
    return kept
