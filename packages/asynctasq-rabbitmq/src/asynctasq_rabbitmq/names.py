"""The names of exchanges and queues in the broker.

What is neither letter, digit, hyphen nor underscore is written as ``@`` with the two digits of
each byte: clients differ in what they accept, and a dot would divide a routing key.
"""

from urllib.parse import quote, unquote

from asynctasq.errors import BrokerRejected

#: Bytes a queue's word may have, so that it fits in a routing key behind those of the delay.
LONGEST_WORD = 170


class Names:
    """All names of one `rabbitmq_exchange_name`; each is made of one queue's name at most."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.due = f"{namespace}/due"

    def word(self, queue: str) -> str:
        """`queue` as one word of a routing key."""
        word = quote(queue, safe="", errors="surrogatepass")
        word = word.replace(".", "%2E").replace("~", "%7E").replace("%", "@")
        if not 0 < len(word) <= LONGEST_WORD:
            raise BrokerRejected(
                f"the queue name {queue[:40]!r} has {len(word)} bytes, escapes included;"
                f" 1 to {LONGEST_WORD} are possible with RabbitMQ"
            )
        return word

    def queue(self, queue: str) -> str:
        """The queue that holds the ready messages of `queue`."""
        return f"{self._namespace}/queue/{self.word(queue)}"

    def dead(self, queue: str) -> str:
        """The queue that holds the dead messages of `queue`."""
        return f"{self._namespace}/dead/{self.word(queue)}"

    def level(self, number: int) -> str:
        """The exchange, and the queue, of one level of the ladder of delays."""
        return f"{self._namespace}/delay/{number:02}"

    def slot(self, number: int) -> str:
        """The queue that shows that a connection has this number."""
        return f"{self._namespace}/slot/{number}"

    def mark(self, queue: str, number: int) -> str:
        """The exchange by which the connection of this number marks `queue`."""
        return f"{self._namespace}/mark/{number}/{self.word(queue)}"

    def original(self, name: str) -> str | None:
        """The queue whose ready or dead messages the broker's queue `name` holds, if any."""
        for kind in ("queue", "dead"):
            prefix = f"{self._namespace}/{kind}/"
            if name.startswith(prefix):
                return unquote(name.removeprefix(prefix).replace("@", "%"), errors="surrogatepass")
        return None
