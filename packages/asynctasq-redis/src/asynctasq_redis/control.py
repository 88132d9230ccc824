"""The `Control` capability: pauses queues, and revokes held messages."""

from collections.abc import Sequence
from typing import cast

from asynctasq_redis.messages import chunks
from asynctasq_redis.scripts import Call, Plain
from asynctasq_redis.session import Session


class RedisControl:
    """The methods of `Control`."""

    @property
    def session(self) -> Session:
        """The open session."""
        raise NotImplementedError

    async def pause(self, queue: str) -> bool:
        """Pause a queue; see `Control.pause`."""
        # added first here, and removed last by `resume`: a paused queue is always in the set
        await self.session.call(Plain(("SADD", self.session.keys.paused, queue)))
        return await self._changed("pause", queue)

    async def resume(self, queue: str) -> bool:
        """Resume a queue; see `Control.resume`."""
        changed = await self._changed("resume", queue)
        await self.session.call(Plain(("SREM", self.session.keys.paused, queue)))
        return changed

    async def paused(self) -> Sequence[str]:
        """The paused queues; see `Control.paused`."""
        (names,) = await self.session.call(Plain(("SMEMBERS", self.session.keys.paused)))
        return sorted(name.decode() for name in cast(Sequence[bytes], names))

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        """Remove held messages; see `Control.revoke`."""
        keys = self.session.keys.of("revoke", queue)
        calls = [Call("revoke", keys, part) for part in chunks(list(dict.fromkeys(ids)))]
        replies = await self.session.call(*calls) if calls else []
        return [name.decode() for reply in replies for name in cast(Sequence[bytes], reply)]

    async def _changed(self, script: str, queue: str) -> bool:
        (reply,) = await self.session.call(Call(script, self.session.keys.of(script, queue)))
        return reply == 1
