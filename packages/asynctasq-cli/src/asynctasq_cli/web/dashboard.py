"""The state that the routes of a dashboard share."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from asynctasq import Config, DriverFactory
from asynctasq_cli.browse import MessageBrowser
from asynctasq_cli.connection import require_inspector
from asynctasq_cli.web.capabilities import capabilities_of, render
from asynctasq_cli.web.connection import Connection
from asynctasq_cli.web.poller import Poller
from asynctasq_cli.web.responses import refuse
from asynctasq_cli.web.sessions import Sessions, Throttle


class Dashboard:
    """The configuration, connection, poller and sessions of one dashboard."""

    def __init__(
        self, config: Config, *, actions: bool, token: str | None, queues: Sequence[str]
    ) -> None:
        driver = DriverFactory.create_from_config(config)  # raises for wrong settings at the start
        self.config = config
        self.sessions = Sessions(token)
        self.capabilities = capabilities_of(
            config, driver, actions=actions, sessions=token is not None
        )
        self.throttle = Throttle()
        self.connection = Connection(config)
        self._only = tuple(dict.fromkeys(queues))
        self.poller = Poller(config, self.connection, queues=self._only, render=render)

    @asynccontextmanager
    async def browse(self) -> AsyncGenerator[MessageBrowser, None]:
        """Connect, and provide a browser of the stored messages."""
        async with self.connection.use() as driver:
            yield MessageBrowser(self.config, driver, require_inspector(driver, self.config))

    def check_queue(self, queue: str) -> str:
        """Return the queue; refuses one that the dashboard does not show."""
        if not queue:
            refuse(400, "queue is missing")
        if self._only and queue not in self._only:
            refuse(404, "this dashboard does not show that queue")
        return queue

    def queues(self) -> Sequence[str]:
        """Return the queues of ``--queue``; empty for all."""
        return self._only
