"""What is looked at when a driver connects: the server's version and its eviction policy."""

import logging
from typing import cast

from redis.exceptions import ResponseError

from asynctasq.errors import BrokerRejected
from asynctasq_redis.connection import Connections
from asynctasq_redis.pool import exchange

logger = logging.getLogger("asynctasq.redis")

OLDEST = (6, 2)


async def check_server(connections: Connections, location: str) -> None:
    """Raise `BrokerRejected` for a server that is too old; warn of one that may evict messages."""
    info = await _info(connections)
    version = info.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < OLDEST:
        raise BrokerRejected(f"Redis at {location} is version {version}; at least 6.2 is needed")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and info.get("maxmemory", "0") != "0":
        logger.warning(
            "Redis at %s drops messages when it is full: set its maxmemory-policy to noeviction,"
            " not %s",
            location,
            policy,
        )


async def _info(connections: Connections) -> dict[str, str]:
    link = connections.link("")
    try:
        (reply,) = await exchange(link, [("INFO",)])
    finally:
        await link.disconnect(nowait=True)
    if isinstance(reply, ResponseError):
        return {}  # some services forbid it
    lines = cast(bytes, reply).decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
