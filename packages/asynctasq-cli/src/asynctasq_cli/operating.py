"""The commands that operate a queue: look at it, and put it right."""

from collections.abc import Generator, Sequence

import rich_click as click

from asynctasq_cli.cancel import cancel
from asynctasq_cli.completion import completion
from asynctasq_cli.enqueue import enqueue
from asynctasq_cli.health import health
from asynctasq_cli.pausing import pause, resume
from asynctasq_cli.purge import purge
from asynctasq_cli.tasks import tasks
from asynctasq_cli.workers import workers

#: What `asynctasq` takes in beside its other commands.
OPERATING: Sequence[click.Command] = (
    workers,
    tasks,
    cancel,
    pause,
    resume,
    purge,
    enqueue,
    health,
    completion,
)


def command_names() -> Generator[str, None, None]:
    """The names of the commands, and of those of their groups."""
    for command in OPERATING:
        yield str(command.name)
        if isinstance(command, click.Group):
            yield from (f"{command.name} {name}" for name in command.commands)
