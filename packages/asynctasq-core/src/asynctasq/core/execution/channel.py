"""The channel between a worker and one of its child processes.

Every frame starts with the mark of its job: a number that is unique in the pool, and random bytes.
The parent reads a length only after the right mark, so bytes that a task writes to the descriptor
by mistake end that child, and are never read as an answer. Only the child itself can answer: a
process that it forks has no descriptor, and exits instead of sending.
"""

import os
import pickle
import socket
import struct
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import NoReturn

#: Seconds between checks of the child: a process that it forked may keep its descriptors open.
CHECK_INTERVAL = 0.5
#: Limit on an answer in bytes; a `Failure` is smaller.
FRAME_LIMIT = 64 * 1024 * 1024
#: Bytes read at once.
CHUNK = 256 * 1024
#: The mark of the frame that ends a child.
END = bytes(16)

_HEADER = struct.Struct(">16sQ")


class Broken(Exception):
    """Bytes arrived that are no answer to the job."""


def new_mark(number: int) -> bytes:
    """Returns a new mark for the job with this number."""
    return number.to_bytes(8, "big") + os.urandom(8)


class ParentEnd:
    """The worker's end. Its methods block until the child is dead, at most.

    Args:
        lives: whether the child may still answer.
    """

    def __init__(self, sock: socket.socket, lives: Callable[[], bool]) -> None:
        self._sock = sock
        self._lives = lives
        sock.settimeout(CHECK_INTERVAL)

    def send(self, mark: bytes, message: object) -> None:
        """Sends a job; raises `EOFError` or `OSError` when the child is dead."""
        remaining = memoryview(_frame(mark, message))
        while remaining:
            try:
                remaining = remaining[self._sock.send(remaining) :]
            except TimeoutError:
                if not self._lives():
                    raise EOFError from None

    def receive(self, mark: bytes) -> object:
        """Returns the next message about the job `mark`.

        Raises:
            EOFError, OSError: the child is dead, or has closed the channel.
            Broken: the bytes are not about that job, or not readable.
        """
        found, size = _HEADER.unpack(self._read(_HEADER.size))
        if found != mark or size > FRAME_LIMIT:
            raise Broken
        payload = self._read(size)
        try:
            return pickle.loads(payload)
        except Exception:  # noqa: BLE001 - unpickling garbage may raise anything
            raise Broken from None

    def is_silent(self) -> bool:
        """Whether the channel is open, without unread bytes."""
        self._sock.settimeout(0)
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            with suppress(OSError):  # it is closed
                self._sock.settimeout(CHECK_INTERVAL)
        return False

    def close(self) -> None:
        """Closes the channel."""
        self._sock.close()

    def _read(self, size: int) -> bytes:
        data = bytearray()
        last = False
        while len(data) < size:
            try:
                chunk = self._sock.recv(min(size - len(data), CHUNK))
            except TimeoutError:
                if last:
                    raise EOFError from None
                last = not self._lives()  # its answer may have arrived since: read once more
                continue
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)


class ChildEnd:
    """The child's end; only the process that created it can use it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pid = os.getpid()
        self._identity = _identity(sock)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=sock.close)

    def receive(self) -> tuple[bytes, object] | None:
        """Returns the next job and its mark; None after the last one."""
        try:
            self._check()
            mark, size = _HEADER.unpack(self._read(_HEADER.size))
            return None if mark == END else (mark, pickle.loads(self._read(size)))
        except (EOFError, OSError):
            return None

    def send(self, mark: bytes, message: object) -> None:
        """Sends a message about a job; ends the process when the channel is closed."""
        with forks_end_here(self._pid):
            pass
        try:
            self._check()
            self._sock.sendall(_frame(mark, message))
        except OSError:
            raise SystemExit(1) from None

    def _check(self) -> None:
        """Raises `OSError` if a task closed the descriptor, even if its number is in use again."""
        if _identity(self._sock) != self._identity:
            raise OSError("the descriptor was closed")

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._sock.recv(min(size - len(data), CHUNK))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)


@contextmanager
def forks_end_here(pid: int) -> Generator[None, None, None]:
    """Runs the body in process `pid`; ends processes that the body forked when it is over.

    Their exit code is that of a program that consists of the body.
    """
    try:
        yield
    except BaseException as error:  # a fork ends here, whatever was raised
        if os.getpid() != pid:
            _leave(error)
        raise
    if os.getpid() != pid:
        _leave(None)


def _leave(error: BaseException | None) -> NoReturn:
    code = 0 if error is None else 1
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        with suppress(Exception):  # the application may have replaced the hook
            sys.excepthook(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # it may be closed, None, or replaced by the application
            stream.flush()
    os._exit(code & 0xFF)


def _frame(mark: bytes, message: object) -> bytes:
    payload = pickle.dumps(message)
    return _HEADER.pack(mark, len(payload)) + payload


def _identity(sock: socket.socket) -> tuple[int, int] | None:
    if sys.platform == "win32":  # a socket is no file descriptor there
        return None
    status = os.fstat(sock.fileno())
    return status.st_dev, status.st_ino
