"""Connections to a Cluster: each command goes to the node that serves its keys."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisClusterException, RedisError

from asynctasq_redis.pool import EXCHANGE_LIMIT, Link
from asynctasq_redis.scripts import Command
from asynctasq_redis.url import Target

#: A fail-over is waited for this often before the caller hears of it.
RETRIES = 3


class ClusterConnections:
    """Connections to all nodes; one command may name the keys of one queue only."""

    def __init__(self, target: Target, options: Mapping[str, Any], limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)
        common: dict[str, Any] = {**options, "socket_timeout": EXCHANGE_LIMIT}
        common["retry"] = Retry(ExponentialBackoff(cap=0.5, base=0.05), RETRIES)
        self._client: Any = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in target.hosts],
            max_connections=limit,
            ssl=target.tls is not None,
            **common,
        )

    async def open(self) -> None:
        """Learn which node serves what."""
        await self._client.initialize()

    async def close(self) -> None:
        """Let go of all nodes."""
        await self._client.aclose()

    def groups(self, queues: Sequence[str]) -> Sequence[Sequence[str]]:
        """Queues whose keys one command may name together."""
        return [[queue] for queue in queues]

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """The replies in order, with an error where there is none."""
        replies = await asyncio.gather(
            *(self._run_one(command) for command in commands), return_exceptions=True
        )
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, _ERRORS):
                raise reply
        return list(replies)

    async def _run_one(self, command: Command) -> object:
        async with self._slots:  # with all its connections in use, redis-py fails
            return await self._client.execute_command(*command)

    def link(self, key: str) -> Link:
        """A new connection of its own to the node that serves `key`."""
        node = self._client.get_node_from_key(key)
        kind = node.connection_class
        return cast(Link, kind(**{**node.connection_kwargs, "socket_timeout": None}))

    async def unblock(self, link: Link, client_id: int) -> None:
        """End the blocking command of `link`."""
        address = cast(Any, link)
        node = self._client.get_node(host=address.host, port=address.port)
        if node is not None:
            await node.execute_command("CLIENT UNBLOCK", client_id)


_ERRORS = (RedisError, RedisClusterException, OSError)
