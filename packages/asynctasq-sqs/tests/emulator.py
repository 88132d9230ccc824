"""An emulator of SQS, to be run as a process: prints its URL, and ends when its input ends.

moto does not serialise requests: two could receive the same message, or fail halfway and lose the
messages received so far. Here requests run one at a time, and each wakes waiting receives.
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

#: Seconds between two polls of a waiting receive, for messages that become due.
POLL_EVERY = 0.1

_turn = Condition()


def one_at_a_time(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `method`: no other request runs meanwhile, and waiting receives wake."""

    @wraps(method)
    def alone(*args: Any, **kwargs: Any) -> Any:
        with _turn:
            _turn.notify_all()
            return method(*args, **kwargs)

    return alone


def waiting(receive: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `receive`: other requests run while it waits."""

    @wraps(receive)
    def patient(
        self: SQSBackend, queue: str, count: int, wait: int, *args: Any, **kwargs: Any
    ) -> Any:
        deadline = time.monotonic() + wait
        with _turn:
            while True:
                received = receive(self, queue, count, 0, *args, **kwargs)
                left = deadline - time.monotonic()
                if received or left <= 0:
                    return received
                _turn.wait(min(left, POLL_EVERY))

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
