"""``asynctasq health``: checks for a probe that the broker responds and workers are alive."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import asyncio
from typing import Any

import rich_click as click

from asynctasq import Config, run
from asynctasq.drivers import BaseDriver, Inspector, State
from asynctasq.errors import BrokerError
from asynctasq_cli.connection import connected, require_workers
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json, printable


@click.command()
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True,
              metavar="SECONDS", help="Limit for the whole check.")  # fmt: skip
@click.option("--worker-id", help="Also check that this worker is alive.")
@click.option("--queue", help="Also check that a worker of this queue is alive.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def health(
    timeout: float, worker_id: str | None, queue: str | None, as_json: bool, **options: Any
) -> int:
    """Exit with 0 if the broker responds and the given worker or queue is served, else with 1.

    \b
    asynctasq health --timeout 2
    asynctasq health --worker-id "$HOSTNAME"
    asynctasq health --queue emails
    """
    config = make_config(options)
    problem = run(_problem(config, timeout, worker_id, queue))
    if as_json:
        print_json({"healthy": problem is None, "problem": problem})
    elif problem is None:
        click.echo("healthy")
    if problem is not None:
        click.echo(f"error: {printable(problem)}", err=True)
    return 0 if problem is None else 1


async def _problem(
    config: Config, timeout: float, worker_id: str | None, queue: str | None
) -> str | None:
    """Return the problem in one line; None if there is none."""
    try:
        async with asyncio.timeout(timeout), connected(config) as driver:
            await _probe(driver, queue or config.default_queue)
            if worker_id is None and queue is None:
                return None
            return await _missing(driver, config, worker_id, queue)
    except TimeoutError:
        where = config.driver_settings.location()
        return f"no response from {config.driver} at {where} within {timeout:g} seconds"
    except BrokerError as error:
        return str(error)


async def _probe(driver: BaseDriver, queue: str) -> None:
    """Send the broker a cheap request."""
    if not isinstance(driver, Inspector) or not driver.limits.leases_outlive_connections:
        return  # connecting has shown that the broker responds
    if State.READY in driver.limits.inspects:
        await driver.find(queue, ["health"])
    else:
        await driver.counts([queue])


async def _missing(
    driver: BaseDriver, config: Config, worker_id: str | None, queue: str | None
) -> str | None:
    for info, _ in await require_workers(driver, config).workers():
        if worker_id in (None, info.id) and (queue is None or queue in info.queues):
            return None
    name = "" if worker_id is None else f" with the id {worker_id}"
    place = "" if queue is None else f" on the queue {queue}"
    return f"no live worker{name}{place}"
