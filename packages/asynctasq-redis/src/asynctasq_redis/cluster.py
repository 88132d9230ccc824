"""Connections to a Cluster: each command goes to the node that serves its keys."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import (
    ClusterDownError,
    ConnectionError,
    SlotNotCoveredError,
    TimeoutError,
)

from asynctasq_redis.errors import REDIS_ERRORS
from asynctasq_redis.pool import EXCHANGE_LIMIT, Link, let_go
from asynctasq_redis.scripts import Command, Once
from asynctasq_redis.url import Target

#: Seconds after which a command is repeated while a fail-over goes on; then its error is raised.
PAUSES = (0.1, 0.2, 0.4)
_FAIL_OVER = (ConnectionError, TimeoutError, ClusterDownError, SlotNotCoveredError)


class ClusterConnections:
    """Connections to all nodes; one command may name the keys of one queue only."""

    one_place = False

    def __init__(self, target: Target, options: Mapping[str, Any], limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)
        common: dict[str, Any] = {**options, "socket_timeout": EXCHANGE_LIMIT}
        self._client: Any = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in target.hosts],
            max_connections=limit,
            ssl=target.tls is not None,
            **common,
        )

    async def open(self) -> None:
        """Load the map of slots to nodes."""
        await self._client.initialize()

    async def close(self) -> None:
        """Disconnect from all nodes."""
        await let_go(self._client.aclose())

    def groups(self, queues: Sequence[str]) -> Sequence[Sequence[str]]:
        """Queues whose keys one command may name together."""
        return [[queue] for queue in queues]

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """The replies in order, with an error in the place of a missing reply."""
        replies = await asyncio.gather(
            *(self._run_one(command) for command in commands), return_exceptions=True
        )
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, REDIS_ERRORS):
                raise reply
        return list(replies)

    async def _run_one(self, command: Command) -> object:
        for pause in () if isinstance(command, Once) else PAUSES:
            try:
                return await self._execute(command)
            except _FAIL_OVER:
                await asyncio.sleep(pause)
        return await self._execute(command)

    async def _execute(self, command: Command) -> object:
        async with self._slots:  # redis-py raises when all its connections are in use
            return await self._client.execute_command(*command)

    def link(self, key: str) -> Link:
        """A new dedicated connection to the node that serves `key`."""
        node = self._client.get_node_from_key(key)
        kind = node.connection_class
        return cast(Link, kind(**{**node.connection_kwargs, "socket_timeout": None}))

    async def unblock(self, link: Link, client_id: int) -> None:
        """End the blocking command of `link`."""
        address = cast(Any, link)
        node = self._client.get_node(host=address.host, port=address.port)
        if node is not None:
            await node.execute_command("CLIENT UNBLOCK", client_id)
