"""Processes that must not outlive the one that started them.

Each child holds the reading end of a pipe whose writing end only its parent has: when the parent
dies, however it dies, the pipe closes, and the child stops in order.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

PIPE_VARIABLE = "ASYNCTASQ_CLI_LIFELINE"


class Lifeline:
    """The pipe, and the way to start processes that hang on it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def start(self, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Start ``asynctasq ARGUMENTS``."""
        return subprocess.Popen(
            [sys.executable, "-m", "asynctasq", *arguments],
            env={**os.environ, PIPE_VARIABLE: str(self._reading)},
            pass_fds=[self._reading],
            start_new_session=True,  # so that Ctrl+C reaches it once, through us
        )

    def cut(self) -> None:
        """Let go: whoever still hangs on it stops."""
        os.close(self._writing)
        os.close(self._reading)


def stop_with_parent() -> None:
    """In a process that a `Lifeline` started: stop in order when the parent is gone."""
    descriptor = os.environ.pop(PIPE_VARIABLE, None)
    if descriptor is None:
        return

    def watch() -> None:
        os.read(int(descriptor), 1)  # returns when the writing end closes
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="asynctasq-lifeline", daemon=True).start()


def without_options(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """The command line without these options and their values."""
    rest = iter(words)
    kept: list[str] = []
    for word in rest:
        if word in names:
            next(rest, None)
        elif word.partition("=")[0] not in names:
            kept.append(word)
    return kept
