"""Tasks that are functions, and the ``@task`` decorator."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar, overload

from asynctasq.config import RetryStrategy
from asynctasq.errors import ConfigError
from asynctasq.tasks.arguments import Parameters
from asynctasq.tasks.call import TaskCall
from asynctasq.tasks.definition import Mode, TaskDefinition
from asynctasq.tasks.naming import as_aliases, task_name
from asynctasq.tasks.options import ExceptionTypes, TaskOptions
from asynctasq.tasks.registry import registry

P = ParamSpec("P")
R = TypeVar("R")


class FunctionTask(Generic[P, R]):
    """A task made from a function; calling it returns a call to dispatch.

    Attributes:
        definition: name, options and mode.
        function: the function itself, to run it directly, for example in a unit test.
    """

    def __init__(self, function: Callable[P, Any], definition: TaskDefinition) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.definition = definition

    # The caller's parameters may have any name, so `self` must not take one.
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> TaskCall[R]:
        """Return a call with these arguments; raise `InvalidArguments` if they do not fit."""
        if args or kwargs or not self._takes_nothing:
            self.definition.parameters.check(args, kwargs)
        return TaskCall(self.definition, args, kwargs)

    def __repr__(self) -> str:
        return f"<task {self.definition.name}>"

    @functools.cached_property
    def _takes_nothing(self) -> bool:
        return not inspect.signature(self.function).parameters


class FunctionCall:
    """A call of a function, ready to run."""

    __slots__ = ("_args", "_function", "_kwargs")

    def __init__(self, function: Callable[..., Any], /, *args: object, **kwargs: object) -> None:
        self._function = function
        self._args = args
        self._kwargs = kwargs

    def execute(self) -> object:
        """Call the function."""
        return self._function(*self._args, **self._kwargs)

    def should_retry(self, exception: BaseException) -> bool:
        """Always true: the options of a function decide."""
        return True

    def failed(self, exception: BaseException) -> None:
        """Do nothing: a function has no hook."""


class TaskDecorator:
    """``@task`` with options: makes tasks from functions."""

    def __init__(
        self, name: str | None, aliases: tuple[str, ...], process: bool, options: TaskOptions
    ) -> None:
        self._name = name
        self._aliases = aliases
        self._process = process
        self._options = options

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> FunctionTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> FunctionTask[P, R]: ...
    def __call__(self, function: Callable[P, Any], /) -> FunctionTask[P, Any]:
        """Register `function` as a task."""
        origin = task_name(function)
        name = self._name or origin
        definition = TaskDefinition(
            name=name,
            origin=origin,
            aliases=self._aliases,
            options=self._options,
            mode=_mode(function, self._process),
            create=functools.partial(FunctionCall, function),
            parameters=Parameters(name, function),
        )
        registry.register(definition)
        return FunctionTask(function, definition)


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> FunctionTask[P, R]: ...
@overload
def task(function: Callable[P, R], /) -> FunctionTask[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    queue: str | None = None,
    max_attempts: int | None = None,
    retry_delay: float | None = None,
    retry_strategy: RetryStrategy | None = None,
    retry_max_delay: float = 3600.0,
    retry_on: ExceptionTypes = (Exception,),
    give_up_on: ExceptionTypes = (),
    timeout: float | None = None,
    process: bool = False,
    aliases: tuple[str, ...] = (),
) -> TaskDecorator: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    process: bool = False,
    aliases: tuple[str, ...] = (),
    **options: Any,
) -> Any:
    """Make a task from a function: async runs on the event loop, sync in a thread.

    Args:
        function: the function, for the decorator without parentheses.
        name: a stable name, instead of ``module:qualname``.
        process: run it in a process pool, for CPU-bound work.
        aliases: earlier names, for stored calls that still use them.
        options: see `TaskOptions`.

    Raises:
        ConfigError: an option is out of range, or another task has the name.
    """
    if function is not None and not callable(function):
        raise ConfigError(f"@task takes keywords: @task(name={function!r})")
    decorator = TaskDecorator(name, as_aliases(aliases), process, TaskOptions(**options))
    return decorator if function is None else decorator(function)


def _mode(function: Callable[..., Any], process: bool) -> Mode:
    if process:
        return Mode.PROCESS
    return Mode.LOOP if inspect.iscoroutinefunction(function) else Mode.THREAD
