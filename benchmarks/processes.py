"""What the kernel knows of a server that runs already, and of its clients' packets."""

import os
import re
import subprocess
import time
from pathlib import Path


class Listener:
    """The process that listens on `port` of this machine.

    Only its owner and root are told which it is, and nobody of one in a container; its processor
    time is None then.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        found = re.search(r"pid=(\d+)", _sockets("-ltnp", f"sport = :{port}") or "")
        self._process = int(found[1]) if found else None

    def cpu(self) -> float | None:
        """Processor seconds of its threads, whoever caused them."""
        return None if self._process is None else own_seconds(self._process)

    def cpu_of_family(self) -> float | None:
        """The same, and of all its children: those that ended are in the kernel's sum."""
        if self._process is None:
            return None
        while True:
            ended = _ended_children(self._process)
            seconds = sum(map(own_seconds, [self._process, *_children(self._process)]))
            if ended == _ended_children(self._process):  # else one moved from here to there
                return seconds + ended

    def count_packets(self, seconds: float, client: int) -> int | None:
        """Packets with data that the process `client` sends to it in the next `seconds`."""
        before = self._count_packets(client)
        time.sleep(seconds)
        after = self._count_packets(client)
        return None if before is None or after is None else after - before

    def _count_packets(self, client: int) -> int | None:
        sockets = _sockets("-tinp", f"dport = :{self._port}")
        if sockets is None:
            return None
        own = (line for line in sockets.splitlines() if f"pid={client}," in line)
        return sum(
            int(sent[1]) for line in own if (sent := re.search(r"data_segs_out:(\d+)", line))
        )


def processor_seconds(process: int) -> float:
    """What it and its children have used."""
    return sum(map(own_seconds, [process, *_children(process)]))


def own_seconds(process: int) -> float:
    """What it has used without its children."""
    try:
        return time.clock_gettime((~process << 3) | 2)  # how Linux numbers such clocks
    except OSError:  # it ended
        return 0.0


def _children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(one) for one in text.split()]


def _ended_children(process: int) -> float:
    """Seconds, to a hundredth."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _sockets(*options: str) -> str | None:
    """What iproute2's ``ss`` tells, a line for each socket; None where there is none."""
    try:
        answer = subprocess.run(["ss", "-HO", *options], capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return answer.stdout
