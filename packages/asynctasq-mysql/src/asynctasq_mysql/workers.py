"""The `Workers` capability: a registry of live workers."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from asynctasq.drivers import WorkerInfo
from asynctasq_mysql.literals import NOW, from_now, name, text
from asynctasq_mysql.session import Session


class MySQLWorkers:
    """The methods of `Workers`."""

    @property
    def session(self) -> Session:
        """The session of the connected driver."""
        raise NotImplementedError

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Store a worker's heartbeat, and delete expired workers; see `Workers.heartbeat`."""
        table = self.session.tables.workers
        row = f"{name(worker.id)}, {text(json.dumps(asdict(worker)))}, {NOW}, {from_now(ttl)}"
        await self.session.query(
            f"DELETE FROM {table} WHERE expires_at <= {NOW};"
            f"INSERT INTO {table} (id, info, heard_at, expires_at) VALUES ({row})"
            " ON DUPLICATE KEY UPDATE info = VALUES(info), heard_at = VALUES(heard_at),"
            " expires_at = VALUES(expires_at)"
        )

    async def workers(self) -> Sequence[tuple[WorkerInfo, float]]:
        """Return the live workers; see `Workers.workers`."""
        table = self.session.tables.workers
        (rows,) = await self.session.query(
            f"SELECT info, TIMESTAMPDIFF(MICROSECOND, heard_at, {NOW}) FROM {table}"
            f" WHERE expires_at > {NOW} ORDER BY id"
        )
        return [(_info(info), silence / 1_000_000) for info, silence in rows]

    async def forget(self, worker_id: str) -> None:
        """Delete a worker's entry; see `Workers.forget`."""
        table = self.session.tables.workers
        await self.session.query(f"DELETE FROM {table} WHERE id = {name(worker_id)}")


def _info(text: str) -> WorkerInfo:
    fields: dict[str, Any] = json.loads(text)
    queues = tuple(fields.pop("queues"))
    return WorkerInfo(queues=queues, **fields)
