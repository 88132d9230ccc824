"""Checks the server's version and eviction policy when a driver connects."""

import logging
from collections.abc import Mapping, Sequence
from typing import cast

from redis.exceptions import ResponseError

from asynctasq.drivers import Level
from asynctasq.errors import BrokerRejected
from asynctasq_redis.connection import Connections
from asynctasq_redis.pool import exchange
from asynctasq_redis.scripts import Command
from asynctasq_redis.server_checks import eviction, too_old

logger = logging.getLogger("asynctasq.redis")

_INFO = ("INFO",)
_CONFIG = (("CONFIG", "GET", "append*"), ("CONFIG", "GET", "save"))


async def check_server(connections: Connections, location: str) -> None:
    """Raise `BrokerRejected` for a server that is too old; warn of one that may evict messages."""
    (reply,) = await _ask(connections, [_INFO])
    info = _info(reply)
    version = info.get("redis_version", "")
    if lack := too_old(version):
        raise BrokerRejected(f"Redis at {location} is version {version}; {lack}")
    policy = eviction(info)
    if policy.level is not Level.OK:
        logger.warning(
            "Redis at %s drops messages when it is full: set its maxmemory-policy to noeviction,"
            " not %s",
            location,
            policy.value,
        )


async def read_info(connections: Connections) -> tuple[dict[str, str], dict[str, str]]:
    """Return the INFO and the configuration of a server, of a Cluster any server's.

    Both are empty where a service forbids the command.
    """
    info, *configs = await _ask(connections, [_INFO, *_CONFIG])
    return _info(info), {name: value for reply in configs for name, value in _pairs(reply).items()}


async def names(connections: Connections, key: str) -> list[str] | None:
    """Return the members of a set, sorted; None where it cannot be read."""
    (members,) = await _ask(connections, [("SMEMBERS", key)], key)
    if not isinstance(members, list | set):
        return None
    return sorted(_text(member) for member in cast("list[object] | set[object]", members))


async def _ask(
    connections: Connections, commands: Sequence[Command], key: str = ""
) -> list[object]:
    link = connections.link(key)
    try:
        return await exchange(link, commands)
    finally:
        await link.disconnect(nowait=True)


def _info(reply: object) -> dict[str, str]:
    lines = [] if isinstance(reply, ResponseError) else _text(reply).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _pairs(reply: object) -> dict[str, str]:
    """Return names and values; their shape in a reply depends on the protocol's version."""
    if isinstance(reply, Mapping):
        known = cast("Mapping[object, object]", reply)
        return {_text(name): _text(value) for name, value in known.items()}
    if isinstance(reply, list):
        words = [_text(word) for word in cast("list[object]", reply)]
        return dict(zip(words[::2], words[1::2], strict=True))
    return {}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
