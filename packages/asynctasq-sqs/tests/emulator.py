"""An emulator of SQS, to be run as a process: prints its URL, and ends when its input ends.

moto's is not made for several requests at once: two could take the same message, or fail halfway
with what they took. Here one works at a time, and those that wait are told of what changes.
"""

import logging
import sys
import time
from collections.abc import Callable
from functools import wraps
from threading import Condition
from typing import Any

from moto.server import ThreadedMotoServer
from moto.sqs.models import SQSBackend

#: Seconds after which a waiting receive looks again for what became due.
LOOK_AGAIN = 0.1

_turn = Condition()


def one_at_a_time(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method`, with nobody else at work, and everybody told."""

    @wraps(method)
    def alone(*args: Any, **kwargs: Any) -> Any:
        with _turn:
            _turn.notify_all()
            return method(*args, **kwargs)

    return alone


def waiting(receive: Callable[..., Any]) -> Callable[..., Any]:
    """`receive`, which lets others work while it waits."""

    @wraps(receive)
    def patient(
        self: SQSBackend, queue: str, count: int, wait: int, *args: Any, **kwargs: Any
    ) -> Any:
        deadline = time.monotonic() + wait
        with _turn:
            while True:
                came = receive(self, queue, count, 0, *args, **kwargs)
                left = deadline - time.monotonic()
                if came or left <= 0:
                    return came
                _turn.wait(min(left, LOOK_AGAIN))

    return patient


def main() -> None:
    """Serve until the input ends."""
    for name in (
        *("create_queue", "delete_queue", "get_queue_attributes", "set_queue_attributes"),
        *("send_message", "send_message_batch", "delete_message", "delete_message_batch"),
        *("change_message_visibility", "change_message_visibility_batch", "purge_queue"),
        *("list_queues", "get_queue_url"),
    ):
        setattr(SQSBackend, name, one_at_a_time(getattr(SQSBackend, name)))
    SQSBackend.receive_message = waiting(SQSBackend.receive_message)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
