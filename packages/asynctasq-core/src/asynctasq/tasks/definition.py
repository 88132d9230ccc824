"""One registered task: its name, its options and how its calls are run."""

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
    PROCESS = "process"  #: in a process of its own pool


class Runnable(Protocol):
    """One call, ready to run: what `TaskDefinition.create` makes of its arguments."""

    def execute(self) -> object:
        """Run; returns an awaitable when the task is asynchronous."""
        ...

    def should_retry(self, exception: BaseException) -> bool:
        """Whether another attempt makes sense after `exception`."""
        ...

    def failed(self, exception: BaseException) -> Awaitable[None] | None:
        """Called once, when the call is given up."""
        ...


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """What the registry knows of a task.

    Attributes:
        origin: ``module:qualname`` of the function or class.
        create: makes a `Runnable` of a call's arguments.
        parameters: what arguments it takes.
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
        """The call, with its arguments converted; raises `InvalidArguments`."""
        if args or kwargs:
            args, kwargs = self.parameters.convert(args, kwargs)
        return self.create(*args, **kwargs)
