"""What the routes of one dashboard share."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from asynctasq import Config, DriverFactory
from asynctasq_cli.browse import View
from asynctasq_cli.connection import inspector
from asynctasq_cli.web.capabilities import facts_of, render
from asynctasq_cli.web.connection import Connection
from asynctasq_cli.web.poller import Poller
from asynctasq_cli.web.responses import refuse
from asynctasq_cli.web.sessions import Sessions, Throttle


class Dashboard:
    """One broker to look at, by those who may."""

    def __init__(
        self, config: Config, *, actions: bool, token: str | None, queues: Sequence[str]
    ) -> None:
        driver = DriverFactory.create_from_config(config)  # what is wrong is said at the start
        self.config = config
        self.sessions = Sessions(token)
        self.facts = facts_of(config, driver, actions=actions, sessions=token is not None)
        self.throttle = Throttle()
        self.connection = Connection(config)
        self._only = tuple(dict.fromkeys(queues))
        self.poller = Poller(config, self.connection, queues=self._only, render=render)

    @asynccontextmanager
    async def view(self) -> AsyncGenerator[View, None]:
        """The connected broker, to look into."""
        async with self.connection.use() as driver:
            yield View(self.config, driver, inspector(driver, self.config))

    def check_queue(self, queue: str) -> str:
        """The queue, if it may be looked at."""
        if not queue:
            refuse(400, "name a queue")
        if self._only and queue not in self._only:
            refuse(404, "this dashboard does not show that queue")
        return queue

    def queues(self) -> Sequence[str]:
        """The only queues it shows; empty for all."""
        return self._only
