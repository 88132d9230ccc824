"""The SQL of `Workers`."""

import dataclasses
import json
from typing import Any

from asynctasq.drivers.capabilities.workers import WorkerInfo
from asynctasq.drivers.sqlite.database import Database, micros

HEARTBEAT = """
    INSERT INTO workers VALUES (:id, :info, :now, :expires_at)
    ON CONFLICT (id) DO UPDATE SET info = :info, heard_at = :now, expires_at = :expires_at
"""


def heartbeat(db: Database, worker: WorkerInfo, ttl: float) -> None:
    """Store a worker, and remove expired workers."""
    db.begin()
    now = db.now()
    info = json.dumps(dataclasses.asdict(worker))
    db.execute("DELETE FROM workers WHERE expires_at <= ?", [now])
    db.execute(
        HEARTBEAT, {"id": worker.id, "info": info, "now": now, "expires_at": now + micros(ttl)}
    )


def workers(db: Database) -> list[tuple[WorkerInfo, float]]:
    """Return the workers that have not expired, each with the seconds since its heartbeat."""
    now = db.now()
    rows = db.execute("SELECT info, heard_at FROM workers WHERE expires_at > ? ORDER BY id", [now])
    return [(_info(info), (now - heard_at) / 1e6) for info, heard_at in rows]


def forget(db: Database, worker_id: str) -> None:
    """Remove a worker."""
    db.begin()
    db.execute("DELETE FROM workers WHERE id = ?", [worker_id])


def _info(text: str) -> WorkerInfo:
    fields: dict[str, Any] = json.loads(text)
    queues = tuple(fields.pop("queues"))
    return WorkerInfo(queues=queues, **fields)
