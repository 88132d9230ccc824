"""A TCP proxy between workers and their broker, which can cut, delay and swallow."""

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

#: Seconds between two looks at what the test wants.
TICK = 0.05


@dataclass(eq=False, slots=True)
class Pair:
    """A client's connection and its connection to the server."""

    client: socket.socket
    server: socket.socket
    done: bool = field(default=False)
    lost: bool = field(default=False)
    closing: bool = field(default=False)
    pieces: deque[tuple[float, socket.socket, bytes]] = field(default_factory=deque)


class Proxy:
    """Passes bytes on to a port of this machine, from a thread for each direction.

    Attributes:
        delay: seconds by which each piece is late, in both directions; those behind it do not wait
            for it.
        vanish: what is sent arrives nowhere, and nobody is told, as when a cable is pulled; when it
            is plugged in again, what was sent before arrives late.
        refuse: whoever connects is sent away.
        port: where it listens.
    """

    def __init__(self, target: int) -> None:
        self.delay = 0.0
        self.vanish = False
        self.refuse = False
        self._target = target
        self._pairs: list[Pair] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TICK)
        self.port: int = self._listener.getsockname()[1]
        self._closed = False
        self._start(self._accept)

    def cut(self) -> int:
        """Reset all connections in the middle of whatever they do; return how many there were."""
        alive = [pair for pair in self._pairs if not pair.done]
        for pair in alive:
            pair.done = True
        return len(alive)

    def lose(self) -> int:
        """Let all connections vanish permanently, as in a router that lost its state.

        Nobody is told; new ones work. Returns how many there were.
        """
        alive = [pair for pair in self._pairs if not pair.done and not pair.lost]
        for pair in alive:
            pair.lost = True
        return len(alive)

    def close(self) -> None:
        """End all connections, and the threads."""
        self._closed = True
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: Pair) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            vanished = self.vanish
            if vanished:
                server = socket.socket()  # accepted by the kernel, and that was all
            elif self.refuse or (server := self._connected()) is None:
                _reset(client)
                continue
            pair = Pair(client, server, lost=vanished)
            self._pairs.append(pair)
            self._start(self._serve, pair)

    def _connected(self) -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            return None

    def _serve(self, pair: Pair) -> None:
        """Pass on in both directions, until one side closes or the test cuts."""
        ways = {pair.client: pair.server, pair.server: pair.client}
        try:
            while not pair.done:
                if self.vanish or pair.lost:
                    time.sleep(TICK)
                    continue
                sources = [] if pair.closing else list(ways)
                for source in select.select(sources, [], [], self._wait(pair))[0]:
                    self._take(source, ways[source], pair)
                self._deliver(pair)
        except OSError:
            pass
        finally:
            pair.done = True
            _reset(pair.client)
            _reset(pair.server)

    def _wait(self, pair: Pair) -> float:
        """Seconds until there may be something to do."""
        due = pair.pieces[0][0] if pair.pieces else time.monotonic() + TICK
        return min(max(due - time.monotonic(), 0.0), TICK)

    def _take(self, source: socket.socket, target: socket.socket, pair: Pair) -> None:
        try:
            data = source.recv(1 << 16)
        except OSError:
            data = b""
        if data:
            pair.pieces.append((time.monotonic() + self.delay, target, data))
        else:
            pair.closing = True

    def _deliver(self, pair: Pair) -> None:
        """Send the due chunks; the end of a connection comes after them."""
        while pair.pieces and pair.pieces[0][0] <= time.monotonic():
            _, target, data = pair.pieces.popleft()
            target.sendall(data)
        pair.done = pair.done or (pair.closing and not pair.pieces)


def _reset(one: socket.socket) -> None:
    """Close with a reset, as a router that forgot the connection does."""
    with one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
