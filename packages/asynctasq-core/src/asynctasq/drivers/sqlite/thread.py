"""The thread that owns the connection and runs calls in batches (group commit).

While a commit is written to the disk, new calls queue up; they share the next transaction.
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

#: Seconds between polls for other processes' commits while a dequeue waits. A poll takes this
#: thread about 20 microseconds and no lock: 0.7 % of a core, for 1.5 ms of delay on average.
POLL_EVERY = 0.003

#: The running threads. A forked child keeps its copies here: closing their connections there,
#: as dropping the last reference would, would break the parent's locks.
_running: "set[DatabaseThread]" = set()


@dataclass(slots=True, eq=False)
class Call:
    """A call for the thread, and the future that its caller awaits."""

    work: Callable[[Database], object]
    future: asyncio.Future[Any]
    result: object = None
    error: BaseException | None = None


class DatabaseThread:
    """Runs calls from one event loop on a database, in order of submission.

    Every future is resolved, also when the thread has ended.
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
        _running.add(self)
        self._thread.start()

    def is_of_another_process(self) -> bool:
        """Return whether the thread belongs to the process this one was forked from."""
        return self._process != os.getpid()

    def is_of_another_loop(self) -> bool:
        """Return whether the thread serves another event loop than the running one."""
        return asyncio.get_running_loop() is not self._loop

    def submit(self, work: Callable[[Database], T]) -> asyncio.Future[T]:
        """Run `work` in a transaction; the future is resolved after the commit."""
        call = Call(work, self._loop.create_future())
        self._inbox.put(call)
        if self._stopped:
            self._refuse_pending()
        return cast("asyncio.Future[T]", call.future)

    @contextmanager
    def watch(self) -> Generator[asyncio.Event]:
        """Yield an event that is set when any process may have made a message deliverable."""
        changed = asyncio.Event()
        self._waiters.add(changed)
        self._watching += 1  # the thread reads it with the next call
        try:
            yield changed
        finally:
            self._watching -= 1
            self._waiters.remove(changed)

    async def end(self) -> None:
        """Run submitted calls, close the file, end the thread."""
        # A cancelled claim releases its messages when its future resolves: wait for all futures.
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
        """End the thread of a closed loop, where no caller waits."""
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
            self._refuse_pending()
            _running.discard(self)
            self._post(self._ended.set_result, None)

    def _serve(self, calls: list[Call]) -> None:
        if calls:
            self._execute(calls)
            self._post(_answer, calls, self._database)
        if self._watching:
            self._poll()

    def _next_batch(self) -> list[Call | None]:
        try:
            batch = [self._inbox.get(timeout=POLL_EVERY if self._watching else None)]
        except queue.Empty:
            return []
        batch += [self._inbox.get() for _ in range(self._inbox.qsize())]
        return batch

    def _execute(self, calls: list[Call]) -> None:
        """Run calls in one transaction; if a call fails, run each in its own transaction."""
        try:
            self._database.drop_replaced_file()
            for call in calls:
                call.result = call.work(self._database)
            wakes = self._database.commit()
        except BaseException as error:  # noqa: BLE001 - passed to the callers' futures
            self._roll_back()
            self._fail(calls, error)
        else:
            if wakes:
                self._waiters.wake()

    def _roll_back(self) -> None:
        try:
            self._database.rollback()
        except Exception:  # noqa: BLE001 - the connection is unusable; closing it rolls back
            self._discard()

    def _discard(self) -> None:
        try:
            self._database.close()
        except Exception:  # the connection is dropped all the same; the next call opens another
            logger.warning("cannot close %s", self._database.path, exc_info=True)

    def _refuse_pending(self) -> None:
        """Fail calls that were submitted after the end; called from either thread."""
        with suppress(queue.Empty):
            while True:
                call = self._inbox.get_nowait()
                if call is not None:
                    call.error = BrokerUnavailable(f"{self._database.path} was disconnected")
                    self._post(_answer, [call], self._database)

    def _fail(self, calls: list[Call], error: BaseException) -> None:
        if len(calls) > 1 and not is_busy(error):  # a busy database would fail each call again
            for call in calls:
                self._execute([call])
        else:
            for call in calls:
                call.error = error

    def _poll(self) -> None:
        try:
            changed = self._database.changed()
        except Exception:  # noqa: BLE001 - the woken dequeues meet the same error and raise it
            changed = True
        if changed:
            self._waiters.wake()

    def _post(self, callback: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the loop was closed: no caller waits
            self._loop.call_soon_threadsafe(callback, *args)


def take_error(future: asyncio.Future[Any]) -> None:
    """Retrieve the error of a call that no caller awaits; its leases expire instead."""
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
