"""The `Workers` capability: a registry of live workers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, cast

from asynctasq.drivers import WorkerInfo
from asynctasq_redis.messages import microseconds
from asynctasq_redis.scripts import Call, Plain
from asynctasq_redis.session import Session


class RedisWorkers:
    """The methods of `Workers`."""

    @property
    def session(self) -> Session:
        """The open session."""
        raise NotImplementedError

    async def heartbeat(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Store a worker; see `Workers.heartbeat`."""
        arguments = (worker.id, json.dumps(asdict(worker)), max(1, microseconds(ttl)))
        await self.session.call(Call("heartbeat", self.session.keys.workers, arguments))

    async def workers(self) -> Sequence[tuple[WorkerInfo, float]]:
        """The live workers; see `Workers.workers`."""
        (reply,) = await self.session.call(Call("workers", self.session.keys.workers))
        return sorted(_workers(cast(Sequence[object], reply)), key=lambda item: item[0].id)

    async def forget(self, worker_id: str) -> None:
        """Remove a worker; see `Workers.forget`."""
        expiries, infos = self.session.keys.workers
        await self.session.call(Plain(("ZREM", expiries, worker_id)))
        await self.session.call(Plain(("HDEL", infos, worker_id)))


def _workers(reply: Sequence[object]) -> Iterator[tuple[WorkerInfo, float]]:
    for silence, text in zip(reply[::2], reply[1::2], strict=True):
        values: dict[str, Any] = json.loads(cast(bytes, text))
        values["queues"] = tuple(values["queues"])
        yield WorkerInfo(**values), cast(int, silence) / 1_000_000
