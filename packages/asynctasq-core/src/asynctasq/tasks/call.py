"""One call of a task, before it is dispatched."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Generic, Protocol, Self, TypeVar

from asynctasq.errors import ConfigError
from asynctasq.tasks.definition import TaskDefinition
from asynctasq.tasks.options import CallOptions

R_co = TypeVar("R_co", covariant=True)
_AS_DEFINED = CallOptions()


@dataclass(frozen=True, slots=True)
class TaskHandle:
    """A dispatched call. ``str(handle)`` is its id."""

    id: str
    name: str
    queue: str

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class TaskCall(Generic[R_co]):
    """A task with its arguments; each method of the chain returns a new call.

    ``await send_email(to="a@b.c").on_queue("high").delay(60).dispatch()``
    """

    definition: TaskDefinition
    args: Sequence[object]
    kwargs: Mapping[str, object]
    options: CallOptions = _AS_DEFINED

    def on_queue(self, queue: str) -> Self:
        """Send it to another queue than the task's own."""
        return self._with(replace(self.options, queue=queue))

    def delay(self, seconds: float | timedelta) -> Self:
        """Run it so many seconds from its dispatch, at the earliest."""
        return self._with(replace(self.options, delay=_seconds(seconds)))

    def retry_after(self, seconds: float | timedelta) -> Self:
        """Wait so many seconds before the second attempt."""
        return self._with(replace(self.options, retry_delay=_seconds(seconds)))

    def max_attempts(self, count: int) -> Self:
        """Attempt it at most so many times."""
        return self._with(replace(self.options, max_attempts=count))

    def timeout(self, seconds: float | timedelta) -> Self:
        """Let an attempt take at most so many seconds."""
        return self._with(replace(self.options, timeout=_seconds(seconds)))

    def correlate(self, correlation_id: str) -> Self:
        """Join it to the request or task it comes from; a task's calls inherit its own."""
        return self._with(replace(self.options, correlation_id=correlation_id))

    async def dispatch(self, *, connection: object | None = None) -> TaskHandle:
        """Store the call; it is durable in the broker when this returns.

        Args:
            connection: your own connection or session of the database that holds the queue: the
                call is stored in the transaction open there, and comes and goes with its
                commit. The documentation of the driver names the kinds it knows.

        Raises:
            SerializationError: an argument cannot travel; names it.
            BrokerUnavailable: the broker cannot be reached.
            BrokerRejected: the broker refuses the call, as when it is too large.
        """
        return await current_dispatcher().dispatch(self, connection=connection)

    def dispatch_sync(self, *, connection: object | None = None) -> TaskHandle:
        """`dispatch` for synchronous code, such as a Flask or Django view; blocks until stored."""
        return current_dispatcher().dispatch_sync(self, connection=connection)

    def _with(self, options: CallOptions) -> Self:
        return replace(self, options=options)


class TaskDispatcher(Protocol):
    """What takes calls to the broker."""

    async def dispatch(
        self, call: TaskCall[object], *, connection: object | None = None
    ) -> TaskHandle:
        """Store one call."""
        ...

    async def dispatch_many(
        self, calls: Sequence[TaskCall[object]], *, connection: object | None = None
    ) -> list[TaskHandle]:
        """Store many calls in one round trip."""
        ...

    def dispatch_sync(
        self, call: TaskCall[object], *, connection: object | None = None
    ) -> TaskHandle:
        """Store one call from synchronous code."""
        ...


#: The dispatcher of this context; a worker sets its own around the tasks it runs.
dispatcher_var: ContextVar[TaskDispatcher] = ContextVar("asynctasq_dispatcher")


def current_dispatcher() -> TaskDispatcher:
    """The dispatcher in force; raises `ConfigError` when there is none."""
    dispatcher = dispatcher_var.get(None) or _Default.dispatcher
    if dispatcher is None:
        raise ConfigError("nothing can dispatch yet; import asynctasq, not a part of it")
    return dispatcher


def set_default_dispatcher(dispatcher: TaskDispatcher) -> None:
    """Say what dispatches where no context says otherwise."""
    _Default.dispatcher = dispatcher


class _Default:
    dispatcher: TaskDispatcher | None = None


def _seconds(value: float | timedelta) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value
