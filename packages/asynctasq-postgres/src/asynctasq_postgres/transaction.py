"""The `TransactionalEnqueue` capability: stores messages in the caller's transaction."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any, cast

from asynctasq.drivers import DriverSettings, Message
from asynctasq.drivers.caller_connection import is_of, name_of, unwrapped, unwrapped_async
from asynctasq.errors import BrokerRejected
from asynctasq_postgres.enqueue import ENQUEUE, chunks, columns
from asynctasq_postgres.errors import translated
from asynctasq_postgres.messages import check_message
from asynctasq_postgres.settings import PostgresSettings

_KNOWN = "a connection of asyncpg, psycopg, psycopg2, SQLAlchemy or Django"
_ASYNCHRONOUS = "this connection is asynchronous: await dispatch(connection=…)"
#: The same statement for clients whose parameters are ``%s``.
_FORMAT = "SELECT {enqueue}(%s::text[], %s::text[], %s::bytea[], %s::double precision[], %s)"
_CLIENTS = ("asyncpg", "psycopg", "psycopg2", "sqlalchemy", "django")


class Transactions:
    """The methods of `TransactionalEnqueue`."""

    settings: DriverSettings

    async def enqueue_on(self, connection: object, messages: Sequence[Message]) -> None:
        """Store messages over the caller's connection; see `TransactionalEnqueue.enqueue_on`."""
        statements = list(self._statements(messages))
        with self._translated():
            own: Any = await unwrapped_async(connection)
            if is_of(own, "asyncpg"):
                for arguments in statements:
                    await own.execute(self._fill(ENQUEUE), *arguments)
            elif is_of(own, "psycopg") and iscoroutinefunction(own.execute):
                async with own.cursor() as cursor:
                    for arguments in statements:
                        await cursor.execute(self._fill(_FORMAT), arguments)
            else:
                self._execute(own, connection, statements)

    def enqueue_on_sync(self, connection: object, messages: Sequence[Message]) -> None:
        """Store messages in synchronous code; see `TransactionalEnqueue.enqueue_on_sync`."""
        statements = list(self._statements(messages))
        with self._translated():
            self._execute(unwrapped(connection), connection, statements)

    def _execute(
        self, own: Any, connection: object, statements: Sequence[tuple[object, ...]]
    ) -> None:
        if not is_of(own, "asyncpg", "psycopg", "psycopg2"):
            raise BrokerRejected(f"connection= takes {_KNOWN}, and this is a {name_of(connection)}")
        if is_of(own, "asyncpg") or iscoroutinefunction(getattr(own, "execute", None)):
            raise BrokerRejected(_ASYNCHRONOUS)
        with own.cursor() as cursor:
            for arguments in statements:
                cursor.execute(self._fill(_FORMAT), arguments)

    def _statements(self, messages: Sequence[Message]) -> Iterator[tuple[object, ...]]:
        """Yield the arguments of each statement: usually one."""
        for message in messages:
            check_message(message)
        notify = cast(PostgresSettings, self.settings).postgres_notify
        for chunk in chunks(messages):
            yield (*columns(chunk), notify)

    def _fill(self, sql: str) -> str:
        return cast(PostgresSettings, self.settings).names().fill(sql)

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except Exception as error:  # clients raise their own, which cannot be imported here
            if not (is_of(error, *_CLIENTS) or isinstance(error, OSError)):
                raise
            raise translated(error, self.settings.location()) from error
