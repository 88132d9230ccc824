"""Messages as they lie in the broker, page by page and by id."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from asynctasq import Config
from asynctasq.drivers import BaseDriver, Inspector, State, StoredMessage
from asynctasq_cli.connection import chosen_queues, inspector, with_driver

T = TypeVar("T")

PAGE = 1000
#: For brokers that take all messages out and put them back for each look at some.
WHOLE = 10_000


@dataclass(frozen=True, slots=True)
class View:
    """A connected broker that can be looked into."""

    config: Config
    driver: BaseDriver
    inspector: Inspector

    @property
    def whole(self) -> bool:
        """Whether each look costs as much as a look at everything."""
        return State.READY not in self.driver.limits.inspects

    @property
    def page(self) -> int:
        """Messages to ask for, or to change, at once."""
        return WHOLE if self.whole else PAGE

    def shows(self, state: State) -> bool:
        """Whether messages of this state can be looked at."""
        return state in self.driver.limits.inspects

    async def names(self, queue: str | None) -> list[str]:
        """The queues that hold a message, or the one that was named."""
        if queue is not None:
            return [queue]
        return [stats.queue for stats in await chosen_queues(self.inspector, None)]

    async def messages(
        self, queue: str, state: State, *, wanted: int | None = None
    ) -> AsyncGenerator[StoredMessage, None]:
        """All messages of one state, each once, though others come while we look.

        Args:
            wanted: how many will be taken, where that is known: bodies may be large.
        """
        seen: set[str] = set()
        offset, size = 0, min(self.page, wanted or self.page)
        while page := await self.inspector.browse(queue, state, limit=size, offset=offset):
            new = [message for message in page if message.id not in seen]
            for message in new:
                seen.add(message.id)
                yield message
            # what died since the last look has moved others to this page: they are not new
            if len(page) < size and (self.whole or not new):
                break
            offset += len(page)

    async def find(self, ids: Sequence[str], queue: str | None) -> list[StoredMessage]:
        """The messages with these ids, in the order asked for."""
        found: list[StoredMessage] = []
        for name in await self.names(queue):
            found += await self.inspector.find(name, ids)
        place = {one: number for number, one in enumerate(ids)}
        return sorted(found, key=lambda message: place[message.id])


def with_view(config: Config, work: Callable[[View], Awaitable[T]]) -> T:
    """What `work` returns for a view of the connected broker."""

    async def look(driver: BaseDriver) -> T:
        return await work(View(config, driver, inspector(driver, config)))

    return with_driver(config, look)
