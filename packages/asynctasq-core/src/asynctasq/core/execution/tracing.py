"""Where a tracing library hooks in: around what is dispatched, and around what runs.

Nothing is traced, and nothing paid for it, until `set_tracing` was called.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from asynctasq.core.execution.attempt import Attempt, Call
from asynctasq.drivers.base_driver import Message
from asynctasq.tasks.call import TaskCall

Headers = Mapping[str, object]


class Sending(Protocol):
    """Calls that are being dispatched together."""

    @property
    def headers(self) -> Headers:
        """What travels with each of them."""
        ...

    def built(self, messages: Sequence[Message]) -> None:
        """They are about to be stored as these messages."""
        ...


class Tracing(Protocol):
    """Follows calls from where they are dispatched to where they run."""

    @property
    def child_setup(self) -> Callable[[], None]:
        """Switches the same on in a process of the pool; travels by pickle."""
        ...

    def sending(self, calls: Sequence[TaskCall[object]]) -> AbstractContextManager[Sending]:
        """Entered while calls are dispatched; sees what that raises."""
        ...

    def running(self, attempt: Attempt, call: Call) -> AbstractContextManager[None]:
        """Entered while an attempt runs, its hooks included; `Attempt.error` tells how it ended."""
        ...

    def headers(self) -> Headers:
        """What leads to the span of this context, for another process."""
        ...

    def continued(self, headers: Headers) -> AbstractContextManager[None]:
        """Entered in a process of the pool, around what runs there."""
        ...


class _Current:
    """Holds what traces this process."""

    tracing: Tracing | None = None


def current_tracing() -> Tracing | None:
    """What traces this process."""
    return _Current.tracing


def set_tracing(tracing: Tracing | None) -> None:
    """Trace this process with `tracing` from now on, or with nothing."""
    _Current.tracing = tracing
