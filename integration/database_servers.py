"""A PostgreSQL and a MariaDB of a test's own, which it can kill and start again."""

import os
import shutil
import signal
import subprocess
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from asynctasq.testing.ports import free_port
from asynctasq.testing.waiting import until
from integration.brokers import BROKERS

#: Seconds a server may take to start, and to recover after it was killed.
START_LIMIT = 60.0


class PostgresServer:
    """One cluster on a free port.

    Args:
        folder: its data.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:  # PostgreSQL does not run as root, nor in what is root's alone
            folder = Path(mkdtemp(prefix="asynctasq-"))
            folder.chmod(0o711)
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._data = folder / "postgres"
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self._data, "postgres")
        initialise = (postgres_program("initdb"), "-D", str(self._data), "-A", "trust")
        subprocess.run(
            _as_postgres((*initialise, "-U", "postgres", "--no-sync")),
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again perhaps, and wait until it takes commands."""
        options = ("-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1")
        command = (postgres_program("postgres"), "-D", str(self._data), *options)
        self._command = _as_postgres((*command, "-k", ""))
        self._process = _started(self._command)
        until(self._answers, "it answers", START_LIMIT)

    def kill(self) -> None:
        """Kill it with -9, if it runs: all its processes."""
        _kill(self._process)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _answers(self) -> bool:
        # while one of its children is not gone, another server does not start on their memory
        if self._process is not None and self._process.poll() is not None:
            self._process = _started(self._command)
        return BROKERS["postgres"].answers(self.url)


class MariaDBServer:
    """One server on a free port.

    Args:
        folder: its data.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"mysql://root@127.0.0.1:{self.port}/test"
        self._folder = folder / "mariadb"
        self._folder.mkdir()
        self._data = self._folder / "data"
        subprocess.run(
            (
                *("mariadb-install-db", "--no-defaults", f"--datadir={self._data}"),
                f"--tmpdir={self._folder}",  # a starting server removes what others have in one
                "--auth-root-authentication-method=normal",
            ),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again perhaps, and wait until it takes commands."""
        self._process = _started(
            (
                *("mariadbd", "--no-defaults"),
                f"--tmpdir={self._folder}",
                *(f"--datadir={self._data}", f"--port={self.port}", "--bind-address=127.0.0.1"),
                *(f"--socket={self._folder}/socket", f"--pid-file={self._folder}/pid"),
                *(("--user=root",) if os.geteuid() == 0 else ()),
            )
        )
        until(lambda: BROKERS["mariadb"].answers(self.url), "it answers", START_LIMIT)

    def kill(self) -> None:
        """Kill it with -9, if it runs."""
        _kill(self._process)


def postgres_program(name: str) -> str:
    """A program of the newest PostgreSQL here; its name alone where there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(installed[-1]) if installed else name


def _as_postgres(command: Sequence[str]) -> Sequence[str]:
    return ("runuser", "-u", "postgres", "--", *command) if os.geteuid() == 0 else command


def _started(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def _kill(process: "subprocess.Popen[bytes] | None") -> None:
    if process is not None and process.poll() is None:
        family = _family(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        for one in family:  # those in groups of their own, too
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        process.wait()
        until(lambda: not _has_members(process.pid), "its children are gone, too")


def _family(process: int) -> list[int]:
    """A process and its descendants, where the system lists them."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return [process]
    return [process, *(one for child in children for one in _family(int(child)))]


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
