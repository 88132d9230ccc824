"""A virtual environment for each contender, with the newest release from the package index."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".envs"


@dataclass(frozen=True, slots=True)
class Leaves:
    """What there is to delete on a RabbitMQ that is shared: what follows its name in theirs."""

    queues: tuple[str, ...] = ("",)
    exchanges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contender:
    """A queue to measure.

    Attributes:
        script: in ``contenders/``.
        guarantee: what it promises when a worker dies.
        requirements: what to install, its own distribution first; nothing for ours, which runs
            from this checkout.
        slowness: the factor by which it gets fewer tasks, so that a round ends.
        tasks: what it runs besides no-op tasks that are asynchronous.
        prepares: whether its script creates its tables when asked to.
        leaves: queues and exchanges that it declares on RabbitMQ.
        checkout: where ours is, if it is another one than this.
    """

    name: str
    script: str
    guarantee: str
    requirements: tuple[str, ...] = ()
    slowness: int = 1
    tasks: tuple[str, ...] = ("nap", "thread")
    prepares: bool = False
    leaves: Leaves = Leaves()
    checkout: Path | None = None

    def install(self) -> str:
        """Make the environment, if there is none, and say which version is in it."""
        if not self.requirements:
            return "this checkout" if self.checkout is None else str(self.checkout)
        python = environment(Path(self.script).stem, self.requirements)
        code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
        command = [python, "-c", code, self.requirements[0]]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    @property
    def path(self) -> Path:
        """Its script."""
        return (
            (self.checkout / "benchmarks" if self.checkout else HERE) / "contenders" / self.script
        )

    @property
    def python(self) -> Path:
        """The interpreter to run it with, once it is installed."""
        if self.checkout is not None:
            return self.checkout / ".venv" / "bin" / "python"
        if not self.requirements:
            return Path(sys.executable)
        return _interpreter(Path(self.script).stem)


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of the environment of that name, which is made if there is none."""
    python = _interpreter(name)
    if not python.exists():
        place = str(ENVIRONMENTS / name)
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, place], check=True)
        command = ["uv", "pip", "install", "-q", "--python", str(python)]
        subprocess.run([*command, *requirements], check=True)
    return python


def _interpreter(name: str) -> Path:
    return ENVIRONMENTS / name / "bin" / "python"
