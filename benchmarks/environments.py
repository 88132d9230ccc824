"""A virtual environment for each contender, with the newest release from the package index."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".envs"


@dataclass(frozen=True, slots=True)
class Contender:
    """A queue to measure.

    Attributes:
        script: in ``contenders/``.
        guarantee: what it promises when a worker dies.
        requirements: what to install, its own distribution first; nothing for ours, which runs
            from this checkout.
        slowness: it gets so many times fewer tasks, for a round to end.
    """

    name: str
    script: str
    guarantee: str
    requirements: tuple[str, ...] = ()
    slowness: int = 1

    @property
    def python(self) -> Path:
        """The interpreter to run it with."""
        if not self.requirements:
            return Path(sys.executable)
        return ENVIRONMENTS / self.name / "bin" / "python"

    def install(self) -> str:
        """Make the environment, if there is none, and say which version is in it."""
        if not self.requirements:
            return "this checkout"
        if not self.python.exists():
            self._create()
        code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
        command = [self.python, "-c", code, self.requirements[0]]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def _create(self) -> None:
        place = str(ENVIRONMENTS / self.name)
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, place], check=True)
        command = ["uv", "pip", "install", "-q", "--python", str(self.python)]
        subprocess.run([*command, *self.requirements], check=True)
