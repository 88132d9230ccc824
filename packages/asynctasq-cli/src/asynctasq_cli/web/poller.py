"""Polls the broker every few seconds while the dashboard has viewers, once for all of them."""

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from asynctasq import Config
from asynctasq.drivers import BaseDriver
from asynctasq.errors import AsyncTasQError
from asynctasq_cli.web.connection import Connection
from asynctasq_cli.web.history import History
from asynctasq_cli.web.snapshot import Snapshot, take_snapshot

logger = logging.getLogger("asynctasq.web")

#: Seconds between two polls.
INTERVAL = 2.0
#: Timeout of a poll, in seconds.
PATIENCE = 10.0

Render = Callable[[Snapshot, History], bytes]


class Poller:
    """The latest snapshot, and the problem that keeps it from being current.

    Args:
        render: encodes a snapshot for the viewers.

    Attributes:
        snapshot: the latest rendered snapshot; None before the first.
        problem: the error of the latest poll; None if it succeeded.
        closed: set by `end`; streams to viewers end.
    """

    def __init__(
        self,
        config: Config,
        connection: Connection,
        *,
        queues: Sequence[str],
        render: Render,
    ) -> None:
        self._config = config
        self._connection = connection
        self._queues = queues
        self._render = render
        self._history = History()
        self._viewers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self.snapshot: bytes | None = None
        self.problem: str | None = None
        self.closed = False

    @property
    def polling(self) -> bool:
        """Whether the broker is being polled."""
        return self._task is not None and not self._task.done()

    @contextmanager
    def watching(self) -> Generator[asyncio.Event, None, None]:
        """Poll while the context is entered; yields an event, set at every change."""
        changed = asyncio.Event()
        self._viewers.add(changed)
        if len(self._viewers) == 1:
            self._start()
        elif self.snapshot is not None or self.problem is not None:
            changed.set()
        try:
            yield changed
        finally:
            self._viewers.discard(changed)
            if not self._viewers and self._task is not None:
                self._task.cancel()  # its next start, or `close`, waits for it

    def end(self) -> None:
        """End the streams to all viewers, permanently."""
        self.closed = True
        self._wake()

    async def close(self) -> None:
        """End the streams, and wait until polling has stopped."""
        self.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _start(self) -> None:
        self.snapshot = self.problem = None  # outdated: of the previous viewers
        self._history = History()
        before = self._task
        self._task = asyncio.create_task(self._run(before), name="asynctasq-web-poller")

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        while True:
            try:
                async with self._connection.use() as driver:
                    await self._poll(driver)
            except TimeoutError:
                self._report(f"no response within {PATIENCE:g} seconds")
            except AsyncTasQError as error:
                self._report(str(error))
            except Exception as error:  # viewers see the error's type, the log has the traceback
                logger.exception("polling the broker failed")
                self._report(f"polling failed: {type(error).__name__}; see the server's log")
            await asyncio.sleep(INTERVAL)

    async def _poll(self, driver: BaseDriver) -> None:
        while True:
            async with asyncio.timeout(PATIENCE):
                snapshot = await take_snapshot(driver, self._queues, self._config.default_queue)
            self._history.add(snapshot.queues)
            self.snapshot, self.problem = self._render(snapshot, self._history), None
            self._wake()
            await asyncio.sleep(INTERVAL)

    def _report(self, problem: str) -> None:
        self.problem = problem
        self._wake()

    def _wake(self) -> None:
        for changed in self._viewers:
            changed.set()
