"""``asynctasq web``: serves the dashboard."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import ipaddress
import socket
from typing import Any

import rich_click as click

from asynctasq import Config, run
from asynctasq.errors import ConfigError
from asynctasq_cli.log_format import configure_logging
from asynctasq_cli.options import client_loggers, config_options, make_config
from asynctasq_cli.output import printable
from asynctasq_cli.web import create_app

OWN = [
    "--host", "--port", "--root-path", "--allow-host", "--queue", "--allow-actions", "--token",
]  # fmt: skip


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8321, show_default=True,
              help="Port to listen on; 0 picks a free one.")  # fmt: skip
@click.option("--root-path", default="", metavar="PATH",
              help="Path of the dashboard behind a proxy: /queue.")  # fmt: skip
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME",
              help="Host name to accept without a token; may be repeated.")  # fmt: skip
@click.option("--queue", "queues", multiple=True, help="Only this queue; may be repeated.")
@click.option("--allow-actions", is_flag=True, help="Allow requeue, delete, pause and cancel.")
@click.option("--token", envvar="ASYNCTASQ_WEB_TOKEN", metavar="TOKEN",
              help="Sign-in token; better set ASYNCTASQ_WEB_TOKEN.")  # fmt: skip
@config_options
def web(**options: Any) -> None:
    """Serve a dashboard of queues, workers and tasks, read-only without --allow-actions.

    \b
    asynctasq web
    ASYNCTASQ_WEB_TOKEN=… asynctasq web --allow-actions
    """
    configure_logging("info", "text", client_loggers())
    config = make_config(options)
    app = create_app(
        config,
        allow_actions=options["allow_actions"],
        token=options["token"] or None,
        queues=options["queues"],
    )
    from asynctasq_cli.web.server import serve

    listener = _listen(options["host"], options["port"])
    local = _is_local(options["host"])
    hosts = {"localhost", "127.0.0.1", "::1", options["host"], *options["hosts"]}
    guarded = options["token"] or not local
    root = _root(options["root_path"])
    _announce(config, options, f"{_address(listener)}{root}/", local=local)
    run(serve(app, listener, root_path=root, hosts=None if guarded else hosts))


def _announce(config: Config, options: dict[str, Any], url: str, *, local: bool) -> None:
    where = f"{config.driver} at {config.driver_settings.location()}"
    kind = "with actions" if options["allow_actions"] else "read only"
    click.echo(f"dashboard of {printable(where)}, {kind}: {url}")
    if not local and not options["token"]:
        click.echo(
            "warning: anyone who reaches this address sees tasks and their arguments; "
            "set ASYNCTASQ_WEB_TOKEN, or listen on 127.0.0.1",
            err=True,
        )


def _root(path: str) -> str:
    path = path.strip("/")
    if any(not c.isprintable() or c in ' "<>?#\\' for c in path):
        raise ConfigError("--root-path must be a plain path, such as /queue")
    return f"/{path}" if path else ""


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)  # type: ignore[arg-type]
    except OSError as error:
        reason = error.strerror or str(error)
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {reason}; choose another with --host or --port"
        ) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host name, maybe of another machine
        return False
