"""The thread that owns the connection, and makes one transaction of all that waits for it.

While a commit is on its way to the disk the next calls gather, and share the next commit.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from asynctasq.drivers.sqlite.database import Database
from asynctasq.drivers.sqlite.errors import is_busy, translate_errors
from asynctasq.drivers.sqlite.waiters import waiters_of

T = TypeVar("T")

#: Seconds between looks for other processes' commits while somebody waits. A look takes this
#: thread some 20 microseconds and no lock: 0.7 % of a core, for 1.5 ms of delay on average.
LOOK_EVERY = 0.003

#: The threads at work. In a forked child they are never taken out: to close a connection there,
#: as the end of the last reference would, would break the parent's locks.
_at_work: "set[DatabaseThread]" = set()


@dataclass(slots=True, eq=False)
class Call:
    """A piece of work for the thread, and the future that its caller waits for."""

    work: Callable[[Database], object]
    future: asyncio.Future[Any]
    result: object = None
    error: Exception | None = None


class DatabaseThread:
    """Runs calls from one event loop on a database, in the order they came."""

    def __init__(self, database: Database) -> None:
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._database = database
        self._waiters = waiters_of(database.path)
        self._watching = 0
        self._process = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="asynctasq-sqlite", daemon=True)
        _at_work.add(self)
        self._thread.start()

    def is_of_another_process(self) -> bool:
        """Whether it stayed behind when this process was forked."""
        return self._process != os.getpid()

    def submit(self, work: Callable[[Database], T]) -> asyncio.Future[T]:
        """Have `work` done in a transaction; the future is done when it is durable."""
        call = Call(work, self._loop.create_future())
        self._inbox.put(call)
        return cast("asyncio.Future[T]", call.future)

    @contextmanager
    def watch(self) -> Generator[asyncio.Event]:
        """An event that is set when any process may have made a message deliverable."""
        changed = asyncio.Event()
        self._waiters.add(changed)
        self._watching += 1  # seen by the thread with the next call
        try:
            yield changed
        finally:
            self._watching -= 1
            self._waiters.remove(changed)

    async def end(self) -> None:
        """Do what was submitted, close the file, end the thread."""
        # A cancelled claim gives back what it took when its answer comes: let all answers come.
        last = self.submit(lambda database: None)
        try:
            await asyncio.wait([last])
        finally:
            self._inbox.put(None)
            self._waiters.wake()
        await asyncio.shield(self._ended)
        self._thread.join()

    # --- in the thread

    def _run(self) -> None:
        stopped = False
        while not stopped:
            batch = self._next_batch()
            stopped = None in batch
            calls = [call for call in batch if call is not None]
            if calls:
                self._execute(calls)
                self._post(_answer, calls, self._database)
            if self._watching:
                self._look()
        self._database.close()
        _at_work.discard(self)
        self._post(self._ended.set_result, None)

    def _next_batch(self) -> list[Call | None]:
        try:
            batch = [self._inbox.get(timeout=LOOK_EVERY if self._watching else None)]
        except queue.Empty:
            return []
        batch += [self._inbox.get() for _ in range(self._inbox.qsize())]
        return batch

    def _execute(self, calls: list[Call]) -> None:
        """Run calls in one transaction, and if one of them fails, each in its own."""
        try:
            self._database.drop_replaced_file()
            for call in calls:
                call.result = call.work(self._database)
            news = self._database.commit()
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait for an answer
            self._database.rollback()
            self._fail(calls, error)
        else:
            if news:
                self._waiters.wake()

    def _fail(self, calls: list[Call], error: Exception) -> None:
        if len(calls) > 1 and not is_busy(error):  # busy would be so again, one by one
            for call in calls:
                self._execute([call])
        else:
            for call in calls:
                call.error = error

    def _look(self) -> None:
        try:
            changed = self._database.changed()
        except Exception:  # noqa: BLE001 - the claims of those who wait will meet it and say it
            changed = True
        if changed:
            self._waiters.wake()

    def _post(self, callback: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)


def _answer(calls: list[Call], database: Database) -> None:
    for call in calls:
        if call.future.done():  # cancelled
            continue
        if call.error is None:
            call.future.set_result(call.result)
        else:
            call.future.set_exception(translate_errors(call.error, database.path))
