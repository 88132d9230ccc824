"""Class tasks: parameters in the constructor, the work in ``execute``, and two hooks."""

import dataclasses
import inspect
from collections.abc import Awaitable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from asynctasq.errors import ConfigError
from asynctasq.tasks.arguments import Parameters
from asynctasq.tasks.call import TaskCall, TaskHandle
from asynctasq.tasks.definition import Mode, TaskDefinition
from asynctasq.tasks.naming import as_aliases, task_name
from asynctasq.tasks.options import TaskOptions
from asynctasq.tasks.registry import registry

R = TypeVar("R")

_OPTIONS = tuple(TaskOptions.__dataclass_fields__)


class BaseTask(Generic[R]):
    """The base of the four kinds of class tasks.

    A subclass takes its parameters in its constructor (or is a dataclass) and sets its options as
    class attributes: those of `TaskOptions`, ``name`` and ``aliases``. They are read when the
    class is created, and removed from it: on an instance, ``max_attempts`` and ``timeout`` are
    methods of the chain.

    An instance is one call: ``await SendEmail(to="a@b.c").on_queue("high").dispatch()``.
    """

    mode: ClassVar[Mode | None] = None
    definition: ClassVar[TaskDefinition]
    _given: tuple[tuple[object, ...], dict[str, object]]

    if TYPE_CHECKING:  # class attributes that subclasses set, and methods of the chain
        max_attempts: Any
        timeout: Any

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.mode is None or BaseTask in cls.__bases__ or inspect.isabstract(cls):
            return
        own, mode = vars(cls), cls.mode
        _free_fields(cls)
        inherited = cls.definition.options if hasattr(cls, "definition") else TaskOptions()
        options = {name: getattr(inherited, name) for name in _OPTIONS}
        options |= {name: own[name] for name in _OPTIONS if name in own}
        # dataclass(slots=True) creates the class again, without the attributes removed below
        first: TaskDefinition | None = own.get("definition")
        origin = first.origin if first else task_name(cls)
        name = own.get("name") or (first.name if first else origin)
        aliases = as_aliases(own.get("aliases") or (first.aliases if first else ()))
        for attribute in (*_OPTIONS, "name", "aliases"):
            if attribute in own:
                delattr(cls, attribute)
        cls.definition = TaskDefinition(
            name, origin, aliases, TaskOptions(**options), mode, cls, Parameters(name, cls)
        )
        registry.register(cls.definition)

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Store the arguments, which become the message."""
        self = super().__new__(cls)
        object.__setattr__(self, "_given", (args, kwargs))  # the class may be a frozen dataclass
        return self

    def __init__(self) -> None:  # pyright: ignore[reportInconsistentConstructor]
        """Take no parameters, unless a subclass defines some."""

    def execute(self) -> Any:
        """Do the work."""
        raise NotImplementedError

    def should_retry(self, exception: BaseException) -> bool:
        """Whether to retry after `exception`."""
        return True

    def failed(self, exception: BaseException) -> Awaitable[None] | None:
        """Called once, when no more attempts follow; may be async."""

    def on_queue(self, queue: str) -> TaskCall[R]:
        """Send the call to this queue instead of the task's own."""
        return self.call().on_queue(queue)

    def delay(self, seconds: float | timedelta) -> TaskCall[R]:
        """Run the call no earlier than `seconds` after its dispatch."""
        return self.call().delay(seconds)

    def retry_after(self, seconds: float | timedelta) -> TaskCall[R]:
        """Wait this long before the second attempt."""
        return self.call().retry_after(seconds)

    def correlate(self, correlation_id: str) -> TaskCall[R]:
        """Set the id of the request or task behind the call."""
        return self.call().correlate(correlation_id)

    if not TYPE_CHECKING:

        def max_attempts(self, count: int) -> TaskCall[R]:
            """Limit the number of attempts."""
            return self.call().max_attempts(count)

        def timeout(self, seconds: float | timedelta) -> TaskCall[R]:
            """Limit the time of one attempt."""
            return self.call().timeout(seconds)

    async def dispatch(self, *, connection: object | None = None) -> TaskHandle:
        """Store the call; see `TaskCall.dispatch`."""
        return await self.call().dispatch(connection=connection)

    def dispatch_sync(self, *, connection: object | None = None) -> TaskHandle:
        """Store the call from synchronous code; see `TaskCall.dispatch_sync`."""
        return self.call().dispatch_sync(connection=connection)

    def call(self) -> TaskCall[R]:
        """Return this instance as a call."""
        if not hasattr(self, "definition"):
            raise ConfigError(
                f"{type(self).__name__} is not a task: derive from AsyncTask or SyncTask"
            )
        args, kwargs = self._given
        self.definition.parameters.check(args, kwargs)
        return TaskCall(self.definition, args, kwargs)


def as_call(item: TaskCall[R] | BaseTask[R]) -> TaskCall[R]:
    """Return a call, made of the instance if `item` is a class task; else raise `ConfigError`."""
    if isinstance(item, BaseTask):
        return item.call()
    if isinstance(item, TaskCall):  # pyright: ignore[reportUnnecessaryIsInstance] - not everybody checks types
        return item
    raise ConfigError(f"only calls can be dispatched, such as send(to='a'), not {item!r}")


def _free_fields(cls: type[BaseTask[Any]]) -> None:
    """Let a dataclass have fields named as our methods, without those as their defaults."""
    for name in inspect.get_annotations(cls):
        if name not in vars(cls) and name in vars(BaseTask):
            setattr(cls, name, dataclasses.field())


class AsyncTask(BaseTask[R]):
    """A class task on the event loop."""

    mode = Mode.LOOP

    async def execute(self) -> R:
        """Do the work."""
        raise NotImplementedError


class SyncTask(BaseTask[R]):
    """A class task in a thread."""

    mode = Mode.THREAD

    def execute(self) -> R:
        """Do the work."""
        raise NotImplementedError


class AsyncProcessTask(BaseTask[R]):
    """An asynchronous class task in a process of the pool, on an event loop there."""

    mode = Mode.PROCESS

    async def execute(self) -> R:
        """Do the work."""
        raise NotImplementedError


class SyncProcessTask(BaseTask[R]):
    """A class task in a process of the pool."""

    mode = Mode.PROCESS

    def execute(self) -> R:
        """Do the work."""
        raise NotImplementedError
