"""Reads stored messages, page by page and by id."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from asynctasq import Config
from asynctasq.drivers import BaseDriver, Inspector, State, StoredMessage
from asynctasq_cli.connection import chosen_queues, require_inspector, with_driver

T = TypeVar("T")

PAGE = 1000
#: For brokers that take all messages out and put them back at every read.
FULL_SCAN_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class MessageBrowser:
    """Reads the messages of a connected driver that is an `Inspector`."""

    config: Config
    driver: BaseDriver
    inspector: Inspector

    @property
    def scans_everything(self) -> bool:
        """Whether reading any message costs as much as reading all of them."""
        return State.READY not in self.driver.limits.inspects

    @property
    def page(self) -> int:
        """Number of messages to read or change in one call."""
        return FULL_SCAN_PAGE if self.scans_everything else PAGE

    def shows(self, state: State) -> bool:
        """Whether messages of this state can be read."""
        return state in self.driver.limits.inspects

    async def names(self, queue: str | None) -> list[str]:
        """Returns the named queue, or all queues that hold a message."""
        if queue is not None:
            return [queue]
        return [stats.queue for stats in await chosen_queues(self.inspector, None)]

    async def messages(
        self, queue: str, state: State, *, wanted: int | None = None
    ) -> AsyncGenerator[StoredMessage, None]:
        """Yields all messages of one state, each once, even if others arrive meanwhile.

        Args:
            wanted: the number of messages the caller takes, if known: bodies may be large.
        """
        seen: set[str] = set()
        offset, size = 0, min(self.page, wanted or self.page)
        while page := await self.inspector.browse(queue, state, limit=size, offset=offset):
            new = [message for message in page if message.id not in seen]
            for message in new:
                seen.add(message.id)
                yield message
            # messages that died since the last page have moved seen ones to this page
            if len(page) < size and (self.scans_everything or not new):
                break
            offset += len(page)

    async def find(self, ids: Sequence[str], queue: str | None) -> list[StoredMessage]:
        """Returns the messages with these ids, in the order of `ids`."""
        found: list[StoredMessage] = []
        for name in await self.names(queue):
            found += await self.inspector.find(name, ids)
        place = {message_id: number for number, message_id in enumerate(ids)}
        return sorted(found, key=lambda message: place[message.id])


def with_browser(config: Config, work: Callable[[MessageBrowser], Awaitable[T]]) -> T:
    """Connects, and returns the result of `work`."""

    async def browse(driver: BaseDriver) -> T:
        return await work(MessageBrowser(config, driver, require_inspector(driver, config)))

    return with_driver(config, browse)
