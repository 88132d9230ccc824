"""The thread that owns the connection, and makes one transaction of all that waits for it.

While a commit is on its way to the disk the next calls gather, and share the next commit.
"""

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from asynctasq.drivers.session_driver import WRONG_LOOP
from asynctasq.drivers.sqlite.database import Database
from asynctasq.drivers.sqlite.errors import is_busy, translate_errors
from asynctasq.drivers.sqlite.wake import waiters_of
from asynctasq.errors import BrokerUnavailable

logger = logging.getLogger("asynctasq.sqlite")

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
    error: BaseException | None = None


class DatabaseThread:
    """Runs calls from one event loop on a database, in the order they came.

    Every call is answered, also when the thread has ended.
    """

    def __init__(self, database: Database) -> None:
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._database = database
        self._waiters = waiters_of(database.path)
        self._watching = 0
        self._process = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="asynctasq-sqlite", daemon=True)
        _at_work.add(self)
        self._thread.start()

    def is_of_another_process(self) -> bool:
        """Whether it stayed behind when this process was forked."""
        return self._process != os.getpid()

    def is_of_another_loop(self) -> bool:
        """Whether it answers another event loop than the running one."""
        return asyncio.get_running_loop() is not self._loop

    def submit(self, work: Callable[[Database], T]) -> asyncio.Future[T]:
        """Have `work` done in a transaction; the future is done when it is durable."""
        call = Call(work, self._loop.create_future())
        self._inbox.put(call)
        if self._stopped:
            self._refuse_rest()
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
        last.add_done_callback(take_error)
        try:
            await asyncio.wait([last])
        finally:
            self._inbox.put(None)
            self._waiters.wake()
        await asyncio.shield(self._ended)
        self._thread.join()

    def end_without_loop(self) -> None:
        """End the thread of a closed loop, where nobody waits any more."""
        if not self._loop.is_closed():
            raise RuntimeError(WRONG_LOOP)
        self._inbox.put(None)
        self._thread.join()

    # --- in the thread

    def _run(self) -> None:
        try:
            while not self._stopped:
                batch = self._next_batch()
                self._stopped = None in batch
                self._serve([call for call in batch if call is not None])
        finally:
            self._stopped = True
            self._discard()
            self._refuse_rest()
            _at_work.discard(self)
            self._post(self._ended.set_result, None)

    def _serve(self, calls: list[Call]) -> None:
        if calls:
            self._execute(calls)
            self._post(_answer, calls, self._database)
        if self._watching:
            self._look()

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
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait for an answer
            self._roll_back()
            self._fail(calls, error)
        else:
            if news:
                self._waiters.wake()

    def _roll_back(self) -> None:
        try:
            self._database.rollback()
        except Exception:  # noqa: BLE001 - its connection is of no use: to close it rolls back
            self._discard()

    def _discard(self) -> None:
        try:
            self._database.close()
        except Exception:  # it is dropped all the same, and the next call opens another
            logger.warning("cannot close %s", self._database.path, exc_info=True)

    def _refuse_rest(self) -> None:
        """Answer what was submitted too late; from either thread."""
        with suppress(queue.Empty):
            while True:
                call = self._inbox.get_nowait()
                if call is not None:
                    call.error = BrokerUnavailable(f"{self._database.path} was disconnected")
                    self._post(_answer, [call], self._database)

    def _fail(self, calls: list[Call], error: BaseException) -> None:
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


def take_error(future: asyncio.Future[Any]) -> None:
    """Own the error of a call that nobody waits for: what it was to do is undone in time."""
    if not future.cancelled():
        future.exception()


def _answer(calls: list[Call], database: Database) -> None:
    for call in calls:
        if call.future.done():  # cancelled
            continue
        if call.error is None:
            call.future.set_result(call.result)
        else:
            call.future.set_exception(translate_errors(call.error, database.path))
