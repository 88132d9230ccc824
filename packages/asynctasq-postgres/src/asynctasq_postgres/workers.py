"""The `Workers` capability: a registry of live workers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from asynctasq.drivers import WorkerInfo
from asynctasq_postgres.messages import check_seconds
from asynctasq_postgres.pool import Row
from asynctasq_postgres.session import Session

HEARTBEAT = """
    WITH expired AS (
        DELETE FROM {workers} WHERE id IN (
            SELECT id FROM {workers} WHERE expires_at < clock_timestamp() AND id <> $1
            FOR UPDATE SKIP LOCKED
        )
    )
    INSERT INTO {workers} AS worker (id, info, heard_at, expires_at)
    VALUES ($1, $2, clock_timestamp(), clock_timestamp() + make_interval(secs => $3))
    ON CONFLICT (id) DO UPDATE
    SET info = excluded.info, heard_at = excluded.heard_at, expires_at = excluded.expires_at
"""
WORKERS = """
    SELECT info, extract(epoch FROM clock_timestamp() - heard_at)::double precision
    FROM {workers} WHERE expires_at > clock_timestamp() ORDER BY id
"""
FORGET = "DELETE FROM {workers} WHERE id = $1"


class PostgresWorkers:
    """The methods of `Workers`."""

    @property
    def session(self) -> Session:
        """The session of the connected driver."""
        raise NotImplementedError

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Store a worker; see `Workers.heartbeat`."""
        text = json.dumps(asdict(worker))
        await self.session.call(HEARTBEAT, worker.id, text, check_seconds(ttl))

    async def workers(self) -> Sequence[tuple[WorkerInfo, float]]:
        """Return the live workers; see `Workers.workers`."""
        return list(_workers(await self.session.call(WORKERS)))

    async def forget(self, worker_id: str) -> None:
        """Remove a worker; see `Workers.forget`."""
        await self.session.call(FORGET, worker_id)


def _workers(rows: Sequence[Row]) -> Iterator[tuple[WorkerInfo, float]]:
    for text, silence in rows:
        values: dict[str, Any] = json.loads(text)
        values["queues"] = tuple(values["queues"])
        yield WorkerInfo(**values), max(0.0, silence)
