"""Traces with OpenTelemetry; needs the extra ``asynctasq[otel]``, and an SDK that exports.

A producer span surrounds each dispatch, a consumer span each attempt, as in the semantic
conventions for messaging. The message's headers carry the trace context.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager

from asynctasq.core.execution.attempt import Attempt, Call
from asynctasq.core.execution.tracing import Headers, Sending, set_tracing
from asynctasq.drivers.base_driver import Message
from asynctasq.errors import ConfigError
from asynctasq.tasks.call import TaskCall

try:
    from opentelemetry.context import Context, attach, detach
    from opentelemetry.propagate import extract, inject
    from opentelemetry.trace import (
        Span,
        SpanKind,
        Status,
        StatusCode,
        Tracer,
        TracerProvider,
        get_tracer,
    )
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise ConfigError("traces are not installed: pip install 'asynctasq[otel]'") from error

_SYSTEM = {"messaging.system": "asynctasq"}


def instrument(tracer_provider: TracerProvider | None = None) -> None:
    """Trace the dispatches and attempts of this process from now on.

    Args:
        tracer_provider: receives the spans; None for the global provider, which the processes
            of a worker's pool always use.
    """
    set_tracing(_Tracing(get_tracer("asynctasq", tracer_provider=tracer_provider)))


def uninstrument() -> None:
    """Stop tracing."""
    set_tracing(None)


class _Tracing:
    """See `asynctasq.core.execution.tracing.Tracing`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @property
    def child_setup(self) -> Callable[[], None]:
        return instrument

    @contextmanager
    def sending(self, calls: Sequence[TaskCall[object]]) -> Generator[Sending]:
        attributes = {
            **_SYSTEM,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            **_if_one("asynctasq.task.name", (call.definition.name for call in calls)),
        }
        if len(calls) > 1:
            attributes["messaging.batch.message_count"] = len(calls)
        with self._tracer.start_as_current_span(
            "send", kind=SpanKind.PRODUCER, attributes=attributes, record_exception=False,
            set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                yield _Sending(span)
            except BaseException as error:  # recorded, and raised again
                _record(span, error)
                raise

    @contextmanager
    def running(self, attempt: Attempt, call: Call) -> Generator[None]:
        context = extract(_carrier(call.envelope.headers), Context())
        with self._tracer.start_as_current_span(
            f"process {attempt.delivery.queue}", context=context, kind=SpanKind.CONSUMER,
            attributes=_of_attempt(attempt, call), record_exception=False,
            set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                yield
            except BaseException as error:  # the attempt was cancelled
                _record(span, error)
                raise
            if attempt.error is not None:
                _record(span, attempt.error)

    def headers(self) -> Headers:
        carrier: dict[str, object] = {}
        inject(carrier)
        return carrier

    @contextmanager
    def continued(self, headers: Headers) -> Generator[None]:
        token = attach(extract(_carrier(headers), Context()))
        try:
            yield
        finally:
            detach(token)


class _Sending:
    """See `asynctasq.core.execution.tracing.Sending`."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def headers(self) -> Headers:
        carrier: dict[str, object] = {}
        inject(carrier)
        return carrier

    def built(self, messages: Sequence[Message]) -> None:
        queue = _if_one("messaging.destination.name", (message.queue for message in messages))
        for name in queue.values():
            self._span.update_name(f"send {name}")
        identity = _if_one("messaging.message.id", (message.id for message in messages))
        self._span.set_attributes({**queue, **identity})


def _of_attempt(attempt: Attempt, call: Call) -> dict[str, str | int]:
    delivery = attempt.delivery
    attributes: dict[str, str | int] = {
        **_SYSTEM,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": delivery.queue,
        "messaging.message.id": delivery.id,
        "messaging.message.body.size": len(delivery.body),
        "messaging.client.id": attempt.worker_id,
        "asynctasq.task.name": call.definition.name,
        "asynctasq.task.attempt": delivery.attempt,
        "asynctasq.task.max_attempts": call.max_attempts,
    }
    if attempt.correlation_id is not None:
        attributes["messaging.message.conversation_id"] = attempt.correlation_id
    return attributes


def _if_one(name: str, values: Iterable[str]) -> dict[str, str | int]:
    """Return the attribute, if all values are the same."""
    different = {*values}
    return {name: different.pop()} if len(different) == 1 else {}


def _carrier(headers: Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if isinstance(value, str)}


def _record(span: Span, error: BaseException) -> None:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    span.set_attribute("error.type", f"{module}{kind.__qualname__}")
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, kind.__qualname__))
