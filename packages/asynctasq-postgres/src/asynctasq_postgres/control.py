"""The `Control` capability: pauses queues, and revokes held messages."""

from collections.abc import Sequence

from asynctasq_postgres.session import Session

PAUSE = "INSERT INTO {paused} (queue) VALUES ($1) ON CONFLICT DO NOTHING RETURNING queue"
RESUME = """
    WITH resumed AS (
        DELETE FROM {paused} WHERE queue = $1 RETURNING queue
    ), notified AS MATERIALIZED (
        SELECT {tell}(array_agg(queue), ARRAY[0.0]) FROM resumed WHERE $2 HAVING count(*) > 0
    )
    SELECT queue, (SELECT count(*) FROM notified) FROM resumed
"""
PAUSED = "SELECT queue FROM {paused} ORDER BY queue"
REVOKE = """
    DELETE FROM {table} WHERE queue = $1 AND id = ANY($2)
    AND token IS NOT NULL AND visible_at > clock_timestamp() RETURNING id
"""


class PostgresControl:
    """The methods of `Control`."""

    @property
    def session(self) -> Session:
        """The session of the connected driver."""
        raise NotImplementedError

    async def pause(self, queue: str) -> bool:
        """Pause a queue; see `Control.pause`."""
        return bool(await self.session.call(PAUSE, queue))

    async def resume(self, queue: str) -> bool:
        """Resume a queue; see `Control.resume`."""
        return bool(await self.session.store([(queue, 0.0)], RESUME, queue))

    async def paused(self) -> Sequence[str]:
        """Return the paused queues; see `Control.paused`."""
        return [queue for (queue,) in await self.session.call(PAUSED)]

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove held messages; see `Control.revoke`."""
        rows = await self.session.call(REVOKE, queue, list(dict.fromkeys(ids)))
        removed = {message_id for (message_id,) in rows}
        return [message_id for message_id in dict.fromkeys(ids) if message_id in removed]
