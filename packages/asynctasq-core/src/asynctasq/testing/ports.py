"""Ports for servers that tests start, stop and start again."""

import os
import random
import socket

#: Below the ports that systems assign to outgoing connections, even with the 10,000 that a node of
#: a Redis Cluster adds.
RANGE = range(12_000, 22_000)
#: Processes of pytest-xdist among which the range is divided.
PROCESSES = 16
_given: set[int] = set()


def free_port() -> int:
    """Return a free port of this machine, for a server that may be stopped for a while.

    The port is not one that the system assigns: those serve outgoing connections as well. A client
    that retries such a port while the server is away is eventually assigned it as its own, connects
    to itself, and the server cannot bind the port again.

    A port is given once: a server may take a while to bind it. Each process of pytest-xdist has
    ports of its own.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = RANGE[process % PROCESSES :: PROCESSES]
    while True:
        port = random.choice(ports)
        if port in _given and len(_given) < len(ports) // 2:
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
