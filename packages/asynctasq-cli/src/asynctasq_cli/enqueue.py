"""``asynctasq enqueue``: dispatches a task from the command line."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import json
from typing import Any

import rich_click as click

from asynctasq import Config, TaskCall, TaskHandle, init, run
from asynctasq.tasks.registry import registry
from asynctasq_cli.discovery import import_tasks
from asynctasq_cli.durations import DURATION
from asynctasq_cli.options import config_options, make_config
from asynctasq_cli.output import print_json


@click.command()
@click.argument("task")
@click.option("--args", "args", metavar="JSON", default="[]", help='A list, such as [1, "a"].')
@click.option("--kwargs", metavar="JSON", default="{}", help='An object, such as {"to": "a"}.')
@click.option("--queue", help="Queue to use instead of the task's own.")
@click.option("--delay", type=DURATION, help="Minimum delay: 30s, 10m, 2h, 1d.")
@click.option("--import", "modules", multiple=True, metavar="MODULE",
              help="A module to import first; may be repeated.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_options
def enqueue(task: str, as_json: bool, **options: Any) -> None:
    """Dispatch a call of a registered task, and print its id.

    The application's modules are imported as a worker imports them.

    \b
    asynctasq enqueue tasks:send_email --kwargs '{"to": "a@example.com"}'
    asynctasq enqueue shop.tasks:report --import shop.tasks --args '[2026]' --delay 10m
    """
    args: list[object] = _parse("--args", options["args"], list)
    kwargs: dict[str, object] = _parse("--kwargs", options["kwargs"], dict)
    config = make_config(options)
    imports = tuple(dict.fromkeys([*options["modules"], *config.imports]))
    config = config.model_copy(update={"imports": imports})
    import_tasks(config.imports)
    definition = registry.find(task)
    definition.parameters.check(args, kwargs)
    handle = _dispatch(config, TaskCall(definition, args, kwargs), options)
    if as_json:
        print_json({"id": handle.id, "task": handle.name, "queue": handle.queue})
    else:
        click.echo(handle.id)


def _dispatch(config: Config, call: TaskCall[object], options: dict[str, Any]) -> TaskHandle:
    if options["queue"] is not None:
        call = call.on_queue(options["queue"])
    if options["delay"] is not None:
        call = call.delay(options["delay"])
    init(config)  # overrides an `init` in the application's modules
    return run(call.dispatch())


def _parse(option: str, text: str, kind: type) -> Any:
    expected = "a list" if kind is list else "an object"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{option} must be {expected} in JSON: {error}") from error
    if not isinstance(value, kind):
        raise click.UsageError(f"{option} must be {expected} in JSON, such as {kind()}")
    return value
