"""The `Control` capability: pauses queues, and revokes held messages."""

from collections.abc import Sequence

from asynctasq_mysql.inspector import remove_held
from asynctasq_mysql.literals import chunks, name, unnamed
from asynctasq_mysql.session import Session


class MySQLControl:
    """The methods of `Control`."""

    @property
    def session(self) -> Session:
        """The session of the connected driver."""
        raise NotImplementedError

    async def pause(self, queue: str) -> bool:
        """Stop delivering from a queue; see `Control.pause`."""
        table = self.session.tables.paused
        return await self._changed(f"INSERT IGNORE INTO {table} VALUES ({name(queue)})")

    async def resume(self, queue: str) -> bool:
        """Deliver from the queue again; see `Control.resume`."""
        table = self.session.tables.paused
        changed = await self._changed(f"DELETE FROM {table} WHERE queue = {name(queue)}")
        self.session.waiters.wake([queue])
        return changed

    async def paused(self) -> Sequence[str]:
        """Return the paused queues; see `Control.paused`."""
        table = self.session.tables.paused
        (rows,) = await self.session.query(f"SELECT queue FROM {table} ORDER BY queue")
        return [unnamed(queue) for (queue,) in rows]

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove held messages; see `Control.revoke`."""
        tables, removed = self.session.tables, set[str]()
        for chunk in chunks(dict.fromkeys(ids)):
            removed |= await self.session.run(
                lambda link, chunk=chunk: remove_held(link, tables, queue, chunk)
            )
        return [message_id for message_id in dict.fromkeys(ids) if message_id in removed]

    async def _changed(self, statement: str) -> bool:
        *_, ((count,),) = await self.session.query(f"{statement}; SELECT ROW_COUNT()")
        return count > 0
