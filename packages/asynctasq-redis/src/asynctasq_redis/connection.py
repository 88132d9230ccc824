"""Connections to one server, to the master that Sentinels report, or to a Cluster."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from redis.asyncio import Connection, SSLConnection
from redis.asyncio import UnixDomainSocketConnection as UnixConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from asynctasq_redis.cluster import ClusterConnections
from asynctasq_redis.pool import Link, Pool, let_go
from asynctasq_redis.scripts import Command
from asynctasq_redis.settings import RedisSettings
from asynctasq_redis.url import Target

#: Connect timeout of one host in seconds.
CONNECT_LIMIT = 3.0


class Connections(Protocol):
    """Connections to the server or servers that store the keys."""

    @property
    def one_place(self) -> bool:
        """Whether one command may name any keys."""
        ...

    async def open(self) -> None:
        """Prepare the connections."""
        ...

    async def close(self) -> None:
        """Close all connections except those from `link`; never raises."""
        ...

    def groups(self, queues: Sequence[str]) -> Sequence[Sequence[str]]:
        """Queues whose keys one command may name together."""
        ...

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """The replies in order, with an error where the server refused."""
        ...

    def link(self, key: str) -> Link:
        """A new dedicated connection, for blocking commands on `key`."""
        ...

    async def unblock(self, link: Link, client_id: int) -> None:
        """End the blocking command of `link`."""
        ...


class ServerConnections:
    """Connections to one server at a time; all queues are one group."""

    one_place = True

    def __init__(self, make: Callable[[], Link], limit: int) -> None:
        self._make = make
        self._pool = Pool(make, limit)

    async def open(self) -> None:
        """Does nothing: connections are opened on first use."""

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()

    def groups(self, queues: Sequence[str]) -> Sequence[Sequence[str]]:
        """All queues in one group."""
        return [queues]

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """The replies in order, with an error where the server refused."""
        return await self._pool.run(commands)

    def link(self, key: str) -> Link:
        """A new dedicated connection; one server has all keys."""
        return self._make()

    async def unblock(self, link: Link, client_id: int) -> None:
        """End the blocking command of `link`."""
        await self._pool.run([("CLIENT", "UNBLOCK", client_id)])


class SentinelConnections(ServerConnections):
    """Connections to the master; each new connection asks the Sentinels for its address."""

    def __init__(self, target: Target, options: dict[str, Any], limit: int) -> None:
        common = {name: options[name] for name in ("retry", "protocol", "socket_connect_timeout")}
        self._sentinel = Sentinel(
            list(target.hosts),
            sentinel_kwargs={
                **common,
                **(target.tls or {}),
                **target.sentinel,
                "ssl": target.tls is not None,
                "socket_timeout": CONNECT_LIMIT,
            },
        )
        master = cast(
            Any,
            SentinelConnectionPool(
                target.name, self._sentinel, ssl=target.tls is not None, **options
            ),
        )
        super().__init__(master.make_connection, limit)

    async def close(self) -> None:
        """Close the pool, and the connections to the Sentinels."""
        await super().close()
        await let_go(self._sentinel.aclose())


def connections(settings: RedisSettings) -> Connections:
    """Unopened connections to the target of `settings`."""
    target, limit = settings.target(), settings.redis_max_connections
    options: dict[str, Any] = {
        "username": target.user,
        "password": target.password,
        "db": target.db,
        "protocol": 2,
        "socket_timeout": None,  # each exchange of commands has its own time limit
        "socket_connect_timeout": CONNECT_LIMIT,
        "retry": Retry(NoBackoff(), 0),  # a command may have been executed: never repeat it
        **(target.tls or {}),
    }
    if target.kind == "cluster":
        del options["db"]
        return ClusterConnections(target, options, limit)
    if target.kind == "sentinel":
        return SentinelConnections(target, options, limit)
    return ServerConnections(lambda: _link(target, options), limit)


def _link(target: Target, options: dict[str, Any]) -> Link:
    if target.kind == "unix":
        return cast(Link, UnixConnection(path=target.name, **options))
    host, port = target.hosts[0]
    kind = Connection if target.tls is None else SSLConnection
    return cast(Link, kind(host=host, port=port, socket_keepalive=True, **options))
