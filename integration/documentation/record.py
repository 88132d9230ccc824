"""Records the output of the commands as a picture of a terminal: ``just record``.

The commands are real ones, on a SQLite queue that a real worker works on meanwhile.
"""

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from rich.console import Console
from rich.text import Text

from integration.documentation.blocks import ROOT
from integration.documentation.stories import environment

PICTURE = ROOT / "docs" / "images" / "terminal.svg"
WIDTH = 120
COMMANDS = (
    "asynctasq queues",
    "asynctasq workers",
    "asynctasq tasks list --queue emails --limit 4",
    "asynctasq dead list --newer-than 1h",
)
#: Seconds that anything may take.
LIMIT = 60.0

TASKS = """
import asyncio
from pathlib import Path

from asynctasq import dispatch_many, run, task


@task(queue="emails", max_attempts=1)
async def send_email(to: str) -> None:
    if to.endswith("example.net"):
        raise OSError("mail server is down")
    while to.endswith("example.org") and not Path("go").exists():
        await asyncio.sleep(0.05)


@task(queue="reports")
def monthly(year: int, month: int) -> None: ...


async def main() -> None:
    await dispatch_many([send_email(to=f"user{n}@example.net") for n in range(3)])
    await dispatch_many([send_email(to=f"user{n}@example.com") for n in range(80)])
    await dispatch_many([send_email(to=f"user{n}@example.org") for n in range(40)])
    await dispatch_many([monthly(2026, n + 1).delay(3600) for n in range(12)])


if __name__ == "__main__":
    run(main())
"""
#: A worker that does not tell where the picture was taken.
WORKER = """
import socket, sys
socket.gethostname = lambda: "web-1"
from asynctasq_cli.main import run
sys.exit(run(sys.argv[1:]))
"""
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Make the picture anew."""
    PICTURE.write_text(record(), encoding="utf-8")


def record() -> str:
    """The picture of all commands' output, as SVG."""
    with TemporaryDirectory() as name, open(os.devnull, "w") as null:
        folder = Path(name)
        (folder / "shop.py").write_text(TASKS, encoding="utf-8")
        _run(folder, [sys.executable, "shop.py"])
        _run(folder, ["asynctasq", "pause", "reports"])
        console = Console(record=True, width=WIDTH, file=null, force_terminal=True)
        with _worker(folder):
            _wait_until(lambda: _is_busy(folder))
            for command in COMMANDS:
                console.print(Text(f"$ {command}", style="bold"))
                console.print(Text.from_ansi(_output(folder, command)))
        return _without_fonts(console.export_svg(title="a queue at work"))


@contextmanager
def _worker(folder: Path) -> Iterator[None]:
    """A worker that is busy until this is left."""
    words = ["worker", "--queues", "emails,reports", "--concurrency", "3", "--import", "shop"]
    with (folder / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *words, "--worker-id=web-1", "--heartbeat-interval=2"],
            cwd=folder,
            env=_environment(),
            stderr=log,
        )
        try:
            yield
        finally:
            (folder / "go").touch()
            process.terminate()
            process.wait(LIMIT)


def _is_busy(folder: Path) -> bool:
    """Whether all slots of the worker run, and the failing tasks have failed."""
    counted = json.loads(_run(folder, ["asynctasq", "queues", "--json"]))
    (emails,) = [one for one in counted if one["queue"] == "emails"]
    (known,) = json.loads(_run(folder, ["asynctasq", "workers", "--json"])) or [{}]
    return emails["dead"] == 3 and known.get("done") == 83 and known.get("running") == 3


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the worker did not come to work")
        time.sleep(0.1)


def _run(folder: Path, words: Sequence[str]) -> str:
    return subprocess.run(
        words, cwd=folder, env=_environment(), check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _output(folder: Path, command: str) -> str:
    """The output of a command on a terminal."""
    mine, its = pty.openpty()
    with os.fdopen(mine, "rb", buffering=0) as reader:
        try:
            process = subprocess.Popen(
                command.split(), cwd=folder, env=_environment(), stdout=its, stderr=its
            )
        finally:
            os.close(its)
        text = _read(reader).decode().replace("\r\n", "\n")
        if process.wait(LIMIT) != 0:
            raise RuntimeError(f"{command}: {text}")
        return text


def _read(reader: IO[bytes]) -> bytes:
    """All that comes until the other end is closed."""
    parts: list[bytes] = []
    try:
        while part := reader.read(65536):
            parts.append(part)
    except OSError:  # so Linux says that the terminal's other end is closed
        pass
    return b"".join(parts)


def _environment() -> dict[str, str]:
    shown = {"COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    return environment({"driver": "sqlite"}) | shown


def _without_fonts(svg: str) -> str:
    """The picture without fonts from elsewhere."""
    return _FONTS.sub("", svg).replace("Fira Code", "ui-monospace")


if __name__ == "__main__":
    main()
