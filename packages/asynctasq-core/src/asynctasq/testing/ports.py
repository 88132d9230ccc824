"""Ports for servers that tests start, stop and start again."""

import random
import socket

#: Below the ports that systems assign to outgoing connections, even with the 10,000 that a node of
#: a Redis Cluster adds.
RANGE = range(12_000, 22_000)


def free_port() -> int:
    """Return a free port of this machine, for a server that may be stopped for a while.

    The port is not one that the system assigns: those serve outgoing connections as well. A client
    that retries such a port while the server is away is eventually assigned it as its own, connects
    to itself, and the server cannot bind the port again.
    """
    while True:
        port = random.choice(RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
