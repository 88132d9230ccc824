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
        requirements: what to install for it; nothing for ours, which runs from this checkout.
        guarantee: what it promises when a worker dies.
    """

    name: str
    script: str
    requirements: tuple[str, ...]
    guarantee: str

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
            place = str(ENVIRONMENTS / self.name)
            subprocess.run(["uv", "venv", "-q", "--python", sys.executable, place], check=True)
            command = ["uv", "pip", "install", "-q", "--python", str(self.python)]
            subprocess.run([*command, *self.requirements], check=True)
        name = self.requirements[0]
        code = f"from importlib.metadata import version; print(version({name!r}))"
        found = subprocess.run(
            [self.python, "-c", code], capture_output=True, text=True, check=True
        )
        return found.stdout.strip()


OURS = Contender("asynctasq", "ours.py", (), "at least once")
# it imports typing_extensions without saying so
SAQ = ("saq", "typing-extensions")
CONTENDERS = {
    "redis": [
        OURS,
        Contender(
            "saq", "saq_queue.py", ("saq", "redis", "hiredis", "typing-extensions"), "at least once"
        ),
        Contender("taskiq", "taskiq_streams.py", ("taskiq-redis", "hiredis"), "at least once"),
    ],
    "sqlite": [OURS, Contender("huey", "huey_sqlite.py", ("huey",), "at most once")],
}
