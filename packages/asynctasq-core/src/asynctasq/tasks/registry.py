"""The registry of tasks in this process, by name."""

from collections.abc import Iterator

from asynctasq.errors import ConfigError, TaskNotFound
from asynctasq.importing import Importer, importer
from asynctasq.settings import did_you_mean
from asynctasq.tasks.definition import TaskDefinition


class TaskRegistry:
    """Tasks by name and alias.

    Args:
        importer: imports the modules of tasks that are not registered yet.
    """

    def __init__(self, importer: Importer = importer) -> None:
        self._importer = importer
        self._tasks: dict[str, TaskDefinition] = {}

    def __iter__(self) -> Iterator[TaskDefinition]:
        return iter({id(task): task for task in self._tasks.values()}.values())

    def register(self, task: TaskDefinition) -> None:
        """Add a task.

        A task of the same origin replaces the registered one, as when a module is reloaded or
        its script is imported again. Raise `ConfigError` if the origins differ.
        """
        names = (task.name, *task.aliases)
        for name in names:
            other = self._tasks.get(name)
            if other is not None and other.origin != task.origin:
                raise ConfigError(
                    f"two tasks are called {name!r}: {other.origin} and {task.origin}; "
                    "give one of them another name"
                )
        self._tasks.update(dict.fromkeys(names, task))

    def find(self, name: str) -> TaskDefinition:
        """Return the task called `name`; import its module if necessary.

        Raises:
            TaskNotFound: there is none; with the reason, and the closest registered name.
        """
        task = self._tasks.get(name)
        if task is not None:
            return task
        reason = ""
        module, colon, _ = name.partition(":")
        if colon:
            try:
                self._importer.load(module)
            except TaskNotFound as error:
                reason = f" ({error})"
        task = self._tasks.get(name)
        if task is None:
            raise TaskNotFound(f"no task is called {name!r}{reason}{self._closest(name)}")
        return task

    def _closest(self, name: str) -> str:
        close = did_you_mean(name, self._tasks)
        return f"; did you mean {close!r}?" if close else ""


#: The registry to which ``@task`` and the task classes add themselves.
registry = TaskRegistry()
