"""A call of a task, and the dispatcher that takes it to the broker."""

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
    """The handle of a dispatched call; ``str(handle)`` is its id."""

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
        """Send the call to this queue instead of the task's own."""
        return self._with(replace(self.options, queue=queue))

    def delay(self, seconds: float | timedelta) -> Self:
        """Run the call no earlier than `seconds` after its dispatch."""
        return self._with(replace(self.options, delay=_seconds(seconds)))

    def retry_after(self, seconds: float | timedelta) -> Self:
        """Wait this long before the second attempt."""
        return self._with(replace(self.options, retry_delay=_seconds(seconds)))

    def max_attempts(self, count: int) -> Self:
        """Limit the number of attempts."""
        return self._with(replace(self.options, max_attempts=count))

    def timeout(self, seconds: float | timedelta) -> Self:
        """Limit the time of one attempt."""
        return self._with(replace(self.options, timeout=_seconds(seconds)))

    def correlate(self, correlation_id: str) -> Self:
        """Set the id of the request or task behind the call; a task's calls inherit its own."""
        return self._with(replace(self.options, correlation_id=correlation_id))

    async def dispatch(self, *, connection: object | None = None) -> TaskHandle:
        """Store the call; it is durable in the broker when this returns.

        Args:
            connection: your own connection or session of the database that holds the queue. The
                call is stored in the transaction open there, and is visible after its commit.
                The driver's documentation lists the supported kinds.

        Raises:
            SerializationError: an argument cannot be serialized; the message names it.
            BrokerUnavailable: the broker cannot be reached.
            BrokerRejected: the broker refuses the call, for example because it is too large.
        """
        return await current_dispatcher().dispatch(self, connection=connection)

    def dispatch_sync(self, *, connection: object | None = None) -> TaskHandle:
        """`dispatch` for synchronous code, such as a Flask or Django view; blocks until stored."""
        return current_dispatcher().dispatch_sync(self, connection=connection)

    def _with(self, options: CallOptions) -> Self:
        return replace(self, options=options)


class TaskDispatcher(Protocol):
    """Takes calls to the broker."""

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
    """Return the dispatcher of this context, or the default; raise `ConfigError` without one."""
    dispatcher = dispatcher_var.get(None) or _Default.dispatcher
    if dispatcher is None:
        raise ConfigError("there is no dispatcher; import asynctasq, not only a part of it")
    return dispatcher


def set_default_dispatcher(dispatcher: TaskDispatcher) -> None:
    """Set the dispatcher for contexts without one of their own."""
    _Default.dispatcher = dispatcher


class _Default:
    dispatcher: TaskDispatcher | None = None


def _seconds(value: float | timedelta) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value
