"""Looks at the broker every few seconds while somebody watches, once for all of them."""

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

#: Seconds between two looks.
INTERVAL = 2.0
#: Seconds one look may take.
PATIENCE = 10.0

Publish = Callable[[Snapshot, History], bytes]


class Poller:
    """What was seen last, and why nothing is seen now.

    Args:
        render: makes of a snapshot what is sent to everybody.
    """

    def __init__(
        self,
        config: Config,
        connection: Connection,
        *,
        queues: Sequence[str],
        render: Publish,
    ) -> None:
        self._config = config
        self._connection = connection
        self._queues = queues
        self._render = render
        self._history = History()
        self._viewers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self.seen: bytes | None = None
        self.problem: str | None = None
        self.closed = False

    @property
    def looking(self) -> bool:
        """Whether it looks at the broker."""
        return self._task is not None and not self._task.done()

    @contextmanager
    def watching(self) -> Generator[asyncio.Event, None, None]:
        """An event that is set whenever there is something new; it looks meanwhile."""
        changed = asyncio.Event()
        self._viewers.add(changed)
        if len(self._viewers) == 1:
            self._start()
        elif self.seen is not None or self.problem is not None:
            changed.set()
        try:
            yield changed
        finally:
            self._viewers.discard(changed)
            if not self._viewers and self._task is not None:
                self._task.cancel()  # its next start, or `close`, waits for it

    def end(self) -> None:
        """Let all who watch go, for good."""
        self.closed = True
        self._wake()

    async def close(self) -> None:
        """End, and wait until the broker is left alone."""
        self.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _start(self) -> None:
        self.seen = self.problem = None  # of the time before nobody looked
        self._history = History()
        before = self._task
        self._task = asyncio.create_task(self._run(before), name="asynctasq-web-poller")

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        while True:
            try:
                async with self._connection.use() as driver:
                    await self._keep_looking(driver)
            except TimeoutError:
                self._tell(f"no answer within {PATIENCE:g} seconds")
            except AsyncTasQError as error:
                self._tell(str(error))
            except Exception as error:  # people see that nothing is new, and the log says why
                logger.exception("looking at the broker failed")
                self._tell(f"looking failed: {type(error).__name__}; the server's log says more")
            await asyncio.sleep(INTERVAL)

    async def _keep_looking(self, driver: BaseDriver) -> None:
        while True:
            async with asyncio.timeout(PATIENCE):
                snapshot = await take_snapshot(driver, self._queues, self._config.default_queue)
            self._history.add(snapshot.queues)
            self.seen, self.problem = self._render(snapshot, self._history), None
            self._wake()
            await asyncio.sleep(INTERVAL)

    def _tell(self, problem: str) -> None:
        self.problem = problem
        self._wake()

    def _wake(self) -> None:
        for changed in self._viewers:
            changed.set()
