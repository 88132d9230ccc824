"""Telemetry options of a worker: ``--emit``, ``--metrics-port``, ``--otel``."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self, TypeVar

import rich_click as click

from asynctasq import Config, Worker
from asynctasq.events import EventEmitter, make_emitter
from asynctasq.events.emitters import check_names

Command = TypeVar("Command", bound=Callable[..., Any])

#: All addresses: Prometheus and kubelet probes connect from outside the container.
HOST = "0.0.0.0"
PORTS = 65535

_OPTIONS = (
    click.option("--emit", multiple=True, metavar="NAME",
                 help="Send events to logging, redis or module:object; may be repeated."),
    click.option("--metrics-port", type=click.IntRange(0, PORTS), metavar="PORT",
                 help="Serve /metrics and /healthz on this port; 0 picks a free one."),
    click.option("--metrics-host", default=HOST, show_default=True, metavar="HOST",
                 help="Address to serve metrics on."),
    click.option("--otel", is_flag=True, help="Trace with OpenTelemetry."),
)  # fmt: skip


def telemetry_options(command: Command) -> Command:
    """Add the telemetry options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The telemetry settings of a worker command."""

    emit: Sequence[str]
    host: str
    port: int | None
    otel: bool

    @classmethod
    def of(cls, options: dict[str, Any]) -> Self:
        """Take the settings from a command's options."""
        return cls(
            options["emit"], options["metrics_host"], options["metrics_port"], options["otel"]
        )

    def check(self, processes: int) -> None:
        """Raise for settings that cannot work: unknown emitters, missing extras, taken ports."""
        check_names(self.emit)
        if self.otel:
            import_module("asynctasq.otel")
        if self.port is not None:
            import_module("asynctasq.prometheus")
        for number in range(processes):
            port = self.port_of(number)
            if port:
                _check_port(self.host, port)

    def port_of(self, number: int) -> int | None:
        """Return the port of the process with this number, counted from 0."""
        return self.port and self.port + number

    def trace(self) -> None:
        """Enable tracing if `otel` is set."""
        if self.otel:
            from asynctasq.otel import instrument

            instrument()

    def emitters(self, config: Config) -> list[EventEmitter]:
        """Make the configured emitters."""
        found = [make_emitter(name, config) for name in self.emit]
        if self.port is not None:
            from asynctasq.prometheus import Metrics

            found.append(Metrics())
        return found

    @asynccontextmanager
    async def serving(self, worker: Worker) -> AsyncGenerator[str | None]:
        """Serve metrics while the context is entered; yields their URL, None without a port."""
        if self.port is None:
            yield None
            return
        from asynctasq.prometheus import MetricsServer

        server = MetricsServer(worker, host=self.host, port=self.port)
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(server)
            except OSError as error:
                raise _cannot_listen(self.host, self.port, error) from error
            yield _address(self.host, server.port)


def _check_port(host: str, port: int) -> None:
    if port > PORTS:
        raise click.UsageError(f"--metrics-port: the last process would need port {port}")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server((str(address[0]), port), family=family).close()
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def _cannot_listen(host: str, port: int, error: OSError) -> click.ClickException:
    why = (error.strerror or str(error)).partition(" (while")[0]
    return click.ClickException(
        f"cannot listen on {host}:{port}: {why}; choose another with --metrics-port or "
        "--metrics-host"
    )


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"
