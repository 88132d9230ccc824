"""``asynctasq worker``: runs tasks."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import sys
from importlib.metadata import version
from typing import Any

import rich_click as click

from asynctasq import Config, DriverFactory, Worker, init, run
from asynctasq.tasks.registry import registry
from asynctasq_cli.discovery import import_tasks
from asynctasq_cli.log_format import configure_logging
from asynctasq_cli.options import config_options, make_config, parse_queues
from asynctasq_cli.reloader import reload_worker
from asynctasq_cli.supervisor import exit_with_supervisor, supervise

SHOWN_TASKS = 12


@click.command()
@click.option("--queues", default="default", show_default=True, help="Names, first served first.")
@click.option("--concurrency", type=int, default=10, show_default=True, help="Tasks at once.")
@click.option("--max-tasks", type=int, help="End after exactly so many tasks.")
@click.option("--burst", is_flag=True, help="End when there is nothing left to do.")
@click.option("--import", "modules", multiple=True, help="A module to import at the start.")
@click.option("--processes", type=int, default=1, show_default=True, help="Worker processes.")
@click.option("--worker-id", help="Its name; made of host and process id by default.")
@click.option("--shutdown-timeout", type=float, default=25.0, show_default=True,
              help="Seconds running tasks have to finish.")  # fmt: skip
@click.option("--lease", type=float, default=30.0, show_default=True,
              help="Seconds after which a dead worker's tasks are taken over.")  # fmt: skip
@click.option("--heartbeat-interval", type=float, default=60.0, show_default=True,
              help="Seconds between heartbeats.")  # fmt: skip
@click.option("--log-level", default="info", show_default=True,
              type=click.Choice(["debug", "info", "warning", "error"]))  # fmt: skip
@click.option("--log-format", default="text", show_default=True,
              type=click.Choice(["text", "json"]))  # fmt: skip
@click.option("--reload", is_flag=True, help="Restart when a source file changes.")
@config_options
def worker(**options: Any) -> int:
    """Run tasks until stopped by SIGTERM or Ctrl+C.

    \b
    asynctasq worker --queues high,default,low --concurrency 20
    asynctasq worker --driver redis --redis-url redis://localhost:6379
    """
    configure_logging(options["log_level"], options["log_format"])
    if options["processes"] < 1:
        raise click.UsageError(f"--processes must be at least 1, not {options['processes']}")
    parse_queues(options["queues"])
    config = make_config(options)
    if options["reload"]:
        return reload_worker()
    if options["processes"] > 1:
        return supervise(options["processes"], options["shutdown_timeout"])
    exit_with_supervisor()
    import_tasks([*options["modules"], *config.imports])
    init(config)
    run(_work(config, options))
    return 0


async def _work(config: Config, options: dict[str, Any]) -> None:
    queues = parse_queues(options["queues"])
    one = Worker(
        DriverFactory.create_from_config(config),
        queues=queues,
        concurrency=options["concurrency"],
        max_tasks=options["max_tasks"],
        worker_id=options["worker_id"],
        heartbeat_interval=options["heartbeat_interval"],
        shutdown_timeout=options["shutdown_timeout"],
        lease=options["lease"],
        burst=options["burst"],
        config=config,
    )
    if options["log_format"] == "text":
        _print_banner(config, one.id, queues, options["concurrency"])
    await one.start()


def _print_banner(config: Config, worker_id: str, queues: list[str], concurrency: int) -> None:
    names = sorted(task.name for task in registry)
    tasks = ", ".join(names[:SHOWN_TASKS]) or "none yet; found by name when they come"
    if len(names) > SHOWN_TASKS:
        tasks += f" and {len(names) - SHOWN_TASKS} more"
    lines = {
        "driver": f"{config.driver} ({config.driver_settings.location()})",
        "queues": ", ".join(queues),
        "concurrency": concurrency,
        "worker": worker_id,
        "tasks": tasks,
    }
    sys.stderr.write(f"asynctasq {version('asynctasq-core')}\n")
    for name, value in lines.items():
        sys.stderr.write(f"  {name:<12}{value}\n")
    sys.stderr.flush()
