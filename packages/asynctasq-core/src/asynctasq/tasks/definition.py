"""A registered task: its name, its options and how its calls run."""

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from asynctasq.tasks.arguments import Parameters
from asynctasq.tasks.options import TaskOptions, check_text


class Mode(enum.Enum):
    """Where a task runs."""

    LOOP = "async"  #: on the worker's event loop
    THREAD = "sync"  #: in a thread
    PROCESS = "process"  #: in a process of the worker's pool


class Runnable(Protocol):
    """One call, ready to run: the result of `TaskDefinition.create`."""

    def execute(self) -> object:
        """Run the task; return an awaitable if it is asynchronous."""
        ...

    def should_retry(self, exception: BaseException) -> bool:
        """Whether to retry after `exception`."""
        ...

    def failed(self, exception: BaseException) -> Awaitable[None] | None:
        """Called once, when no more attempts follow."""
        ...


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """The registry's entry for a task.

    Attributes:
        origin: ``module:qualname`` of the function or class.
        create: makes a `Runnable` from a call's arguments.
        parameters: checks and converts the arguments.
    """

    name: str
    origin: str
    aliases: tuple[str, ...]
    options: TaskOptions
    mode: Mode
    create: Callable[..., Runnable]
    parameters: Parameters

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            check_text("a task's name", name)

    def prepare(self, args: Sequence[object], kwargs: Mapping[str, object]) -> Runnable:
        """Convert the arguments and return the runnable call; raise `InvalidArguments`."""
        if args or kwargs:
            args, kwargs = self.parameters.convert(args, kwargs)
        return self.create(*args, **kwargs)
