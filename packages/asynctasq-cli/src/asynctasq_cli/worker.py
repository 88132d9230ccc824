"""``asynctasq worker``: runs tasks."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import rich_click as click

from asynctasq import Config, DriverFactory, Worker, init, run
from asynctasq.utils.collector import collect_less_often
from asynctasq_cli.banner import show_banner
from asynctasq_cli.discovery import import_tasks
from asynctasq_cli.lifeline import stop_with_parent
from asynctasq_cli.log_format import LEVELS, configure_logging
from asynctasq_cli.options import client_loggers, config_options, make_config, parse_queues
from asynctasq_cli.reloader import reload_worker
from asynctasq_cli.supervisor import supervise
from asynctasq_cli.telemetry import Telemetry, telemetry_options


@click.command()
@click.option(
    "--queues", default="default", show_default=True, help="Queue names, highest priority first."
)
@click.option(
    "--concurrency", type=int, default=10, show_default=True, help="Tasks running at once."
)
@click.option("--max-tasks", type=int, help="End after this number of tasks.")
@click.option("--burst", is_flag=True, help="End when no task is left.")
@click.option("--import", "modules", multiple=True, metavar="MODULE",
              help="Module to import at the start; may be repeated.")  # fmt: skip
@click.option(
    "--processes", type=int, default=1, show_default=True, help="Number of worker processes."
)
@click.option("--worker-id", help="Worker's name; host and process id by default.")
@click.option("--shutdown-timeout", type=float, default=25.0, show_default=True, metavar="SECONDS",
              help="Time for running tasks to finish at shutdown.")  # fmt: skip
@click.option("--lease", type=float, default=30.0, show_default=True, metavar="SECONDS",
              help="Time until a dead worker's tasks are redelivered.")  # fmt: skip
@click.option("--refusal-limit", type=float, default=300.0, show_default=True, metavar="SECONDS",
              help="Time to keep running while the broker rejects requests.")  # fmt: skip
@click.option("--heartbeat-interval", type=float, default=60.0, show_default=True,
              metavar="SECONDS", help="Time between heartbeats.")  # fmt: skip
@click.option("--log-level", default="info", show_default=True, help="Lowest level to log.",
              type=click.Choice(LEVELS, case_sensitive=False))  # fmt: skip
@click.option("--log-format", default="text", show_default=True, help="Lines of text, or of JSON.",
              type=click.Choice(["text", "json"]))  # fmt: skip
@telemetry_options
@click.option("--reload", is_flag=True, help="Restart when a source file changes.")
@config_options
def worker(**options: Any) -> int:
    """Run tasks until stopped by SIGTERM or Ctrl+C.

    \b
    asynctasq worker --queues high,default,low --concurrency 20
    asynctasq worker --driver redis --redis-url redis://localhost:6379
    """
    set_up_logs = partial(
        configure_logging, options["log_level"], options["log_format"], client_loggers()
    )
    set_up_logs()
    stop_with_parent()
    config, telemetry = _config(options), Telemetry.of(options)
    _make_worker(config, options)  # raises for invalid options before anything starts
    _check_processes(options)
    telemetry.check(options["processes"])
    if options["reload"]:
        return reload_worker()
    if options["processes"] > 1:
        return supervise(options["shutdown_timeout"], _own_options(options, telemetry))
    import_tasks(config.imports)
    init(config)  # overrides an `init` in the application's modules
    telemetry.trace()
    collect_less_often()
    run(_work(config, options, telemetry, set_up_logs))
    return 0


def _config(options: dict[str, Any]) -> Config:
    """Return the configuration, with the modules of ``--import`` among its imports.

    The process pool reads them from there.
    """
    config = make_config(options)
    imports = dict.fromkeys([*options["modules"], *config.imports])
    return config.model_copy(update={"imports": tuple(imports)})


def _check_processes(options: dict[str, Any]) -> None:
    if options["processes"] < 1:
        raise click.UsageError(f"--processes must be at least 1, not {options['processes']}")
    if sys.platform == "win32" and (options["processes"] > 1 or options["reload"]):
        raise click.UsageError("--processes and --reload do not work on Windows")


def _own_options(options: dict[str, Any], telemetry: Telemetry) -> list[list[str]]:
    """Return the options that differ between the processes of a fleet."""
    each: list[list[str]] = []
    for number in range(options["processes"]):
        worker_id, port = options["worker_id"], telemetry.port_of(number)
        name = [f"--worker-id={worker_id}-{number + 1}"] if worker_id else []
        each.append([*name, *([] if port is None else [f"--metrics-port={port}"])])
    return each


def _make_worker(config: Config, options: dict[str, Any], **more: Any) -> Worker:
    return Worker(
        DriverFactory.create_from_config(config),
        queues=parse_queues(options["queues"]),
        concurrency=options["concurrency"],
        max_tasks=options["max_tasks"],
        worker_id=options["worker_id"],
        heartbeat_interval=options["heartbeat_interval"],
        shutdown_timeout=options["shutdown_timeout"],
        lease=options["lease"],
        refusal_limit=options["refusal_limit"],
        burst=options["burst"],
        config=config,
        **more,
    )


async def _work(
    config: Config,
    options: dict[str, Any],
    telemetry: Telemetry,
    set_up_logs: Callable[[], None],
) -> None:
    worker = _make_worker(
        config,
        options,
        emitters=telemetry.emitters(config),
        process_pool_initializer=set_up_logs,
    )
    async with telemetry.serving(worker) as address:
        facts = {
            "driver": f"{config.driver} ({config.driver_settings.location()})",
            "queues": ", ".join(parse_queues(options["queues"])),
            "concurrency": options["concurrency"],
            "worker": worker.id,
            **({"metrics": address} if address else {}),
        }
        show_banner(facts, as_log=options["log_format"] == "json")
        await worker.start()
