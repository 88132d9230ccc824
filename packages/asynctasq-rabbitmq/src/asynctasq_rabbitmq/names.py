"""The names of exchanges and queues in the broker.

Characters other than letters, digits, hyphens and underscores are written as ``@`` with two
hexadecimal digits for each byte: clients differ in the names they accept, and a dot would split a
routing key.
"""

from urllib.parse import quote, unquote

from asynctasq.errors import BrokerRejected

#: Longest word in bytes, so that it fits in a routing key after the words of the delay.
LONGEST_WORD = 170


class Names:
    """Builds all names under one `rabbitmq_exchange_name`."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.due = f"{namespace}/due"

    def word(self, queue: str) -> str:
        """Return `queue` as one word of a routing key; raise `BrokerRejected` if it is too long."""
        word = quote(queue, safe="", errors="surrogatepass")
        word = word.replace(".", "%2E").replace("~", "%7E").replace("%", "@")
        if not 0 < len(word) <= LONGEST_WORD:
            raise BrokerRejected(
                f"the queue name {queue[:40]!r} has {len(word)} bytes, escapes included;"
                f" 1 to {LONGEST_WORD} are possible with RabbitMQ"
            )
        return word

    def queue(self, queue: str) -> str:
        """Return the queue that holds the ready messages of `queue`."""
        return f"{self._namespace}/queue/{self.word(queue)}"

    def dead(self, queue: str) -> str:
        """Return the queue that holds the dead messages of `queue`."""
        return f"{self._namespace}/dead/{self.word(queue)}"

    def level(self, number: int) -> str:
        """Return the exchange, and the queue, of one level of the delay ladder."""
        return f"{self._namespace}/delay/{number:02}"

    def slot(self, number: int) -> str:
        """Return the exclusive queue that reserves this number for a connection."""
        return f"{self._namespace}/slot/{number}"

    def mark(self, queue: str, number: int) -> str:
        """Return the exchange with which the connection of this number marks `queue`."""
        return f"{self._namespace}/mark/{number}/{self.word(queue)}"

    def original(self, name: str) -> str | None:
        """Return the queue whose ready or dead messages the broker's queue `name` holds, if any."""
        for kind in ("queue", "dead"):
            prefix = f"{self._namespace}/{kind}/"
            if name.startswith(prefix):
                return unquote(name.removeprefix(prefix).replace("@", "%"), errors="surrogatepass")
        return None
