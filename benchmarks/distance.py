"""Makes a broker far away: what is sent arrives later, however much is on the way.

``distance.py PORT SECONDS`` passes connections on to that port of this machine, and prints the
port it listens on; a program of its own, since it needs a processor's time beside the others.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlsplit, urlunsplit

Pieces = SimpleQueue[tuple[float, bytes]]


@contextmanager
def far_url(url: str, seconds: float) -> Generator[str, None, None]:
    """The URL under which the server at `url` is `seconds` away, there and back."""
    parts = urlsplit(url)
    if parts.port is None:
        raise SystemExit("a latency needs a broker whose URL names its port")
    command = [sys.executable, str(Path(__file__)), str(parts.port), str(seconds / 2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            port = int(proxy.stdout.readline())
            user, at, _ = parts.netloc.rpartition("@")
            yield urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))
        finally:
            proxy.kill()


def main(port: int, seconds: float) -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        for source, target in ((client, server), (server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pieces: Pieces = SimpleQueue()
            for work in (_read, _write):
                arguments = (source if work is _read else target, pieces, seconds)
                threading.Thread(target=work, args=arguments, daemon=True).start()


def _read(source: socket.socket, pieces: Pieces, seconds: float) -> None:
    data = b"-"
    while data:
        try:
            data = source.recv(1 << 16)
        except OSError:
            data = b""
        pieces.put((time.monotonic() + seconds, data))


def _write(target: socket.socket, pieces: Pieces, _: float) -> None:
    while True:
        due, data = pieces.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
        except OSError:
            return


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
