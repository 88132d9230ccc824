"""The interface for tracing libraries: spans around dispatches and attempts.

Until `set_tracing` is called, there is no tracing, and no cost.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from asynctasq.core.execution.attempt import Attempt, Call
from asynctasq.drivers.base_driver import Message
from asynctasq.tasks.call import TaskCall

Headers = Mapping[str, object]


class Sending(Protocol):
    """A dispatch of one or more calls."""

    @property
    def headers(self) -> Headers:
        """The headers that are sent with each call."""
        ...

    def built(self, messages: Sequence[Message]) -> None:
        """Called before the messages of the calls are stored."""
        ...


class Tracing(Protocol):
    """Traces calls from their dispatch to their attempts."""

    @property
    def child_setup(self) -> Callable[[], None]:
        """Enables the same tracing in a child process; must be picklable."""
        ...

    def sending(self, calls: Sequence[TaskCall[object]]) -> AbstractContextManager[Sending]:
        """Entered while calls are dispatched; errors of the dispatch pass through it."""
        ...

    def running(self, attempt: Attempt, call: Call) -> AbstractContextManager[None]:
        """Entered while an attempt runs, with its hooks; `Attempt.error` is the task's error."""
        ...

    def headers(self) -> Headers:
        """Returns the headers of the current span, for another process."""
        ...

    def continued(self, headers: Headers) -> AbstractContextManager[None]:
        """Entered in a child process, around the task that runs there."""
        ...


class _Current:
    """Holds the tracing of this process."""

    tracing: Tracing | None = None


def current_tracing() -> Tracing | None:
    """Returns the tracing of this process, or None."""
    return _Current.tracing


def set_tracing(tracing: Tracing | None) -> None:
    """Sets the tracing of this process; None disables it."""
    _Current.tracing = tracing
