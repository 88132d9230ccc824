"""Ports for servers that tests start, stop and start again."""

import random
import socket

#: Below those that Linux and others give to outgoing connections, also with the 10,000 that a node
#: of a Redis Cluster adds.
RANGE = range(12_000, 22_000)


def free_port() -> int:
    """A port of this machine that nobody listens on, for a server that may be away for a while.

    Not one that the system picks: those are for outgoing connections as well. Whoever knocks at
    such a port while the server is away is given it as his own some day, is connected to himself,
    and the server cannot come back.
    """
    while True:
        port = random.choice(RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
