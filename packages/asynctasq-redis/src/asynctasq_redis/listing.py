"""The set of the names of all queues that contain messages.

Where one server has all keys, the script that fills an empty queue adds its name, and the script
that removes a name checks that the queue is empty. On a Cluster the set and a queue are on
different nodes: a name is added before the queue is used and again after it was filled, and a
removed name is added again if the queue is not empty. Either way no queue with messages
is unlisted.
"""

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from asynctasq.errors import BrokerError
from asynctasq_redis.names import Keys
from asynctasq_redis.scripts import Call, Plain

#: Seconds after which the name of a queue in use is added to a Cluster's set again.
REGISTER_EVERY = 60.0
#: Most names removed by one call.
UNLISTED_AT_ONCE = 1000

#: Runs calls, with a `BrokerError` in the place of each reply that failed.
Replies = Callable[[Sequence[Call | Plain]], Awaitable[list[object]]]


class Listing:
    """Adds and removes names; `one_place` is True where one server has all keys."""

    def __init__(self, keys: Keys, replies: Replies, *, one_place: bool) -> None:
        self._keys = keys
        self._replies = replies
        self._one_place = one_place
        self._registered: dict[str, float] = {}

    def keys_to_store(self, queue: str) -> Sequence[str]:
        """The keys of the script that stores messages of `queue`."""
        keys = self._keys.of("enqueue", queue)
        return [*keys, self._keys.queues] if self._one_place else keys

    async def store(self, queues: Sequence[str], calls: Sequence[Call]) -> list[object]:
        """Run `calls`, which store messages of the `queues` at their positions; return replies."""
        if self._one_place:
            return await self._replies(calls)
        fresh = self._unregistered(queues)
        register = [self._add(fresh)] if fresh else []
        replies = await self._replies([*register, *calls])
        if register:
            self._note(fresh, replies.pop(0))
        filled = {queue for queue, reply in zip(queues, replies, strict=True) if reply == 1}
        if filled:
            await self._add_again(filled)
        return replies

    async def unlist(self, queues: Sequence[str]) -> None:
        """Remove the names of up to `UNLISTED_AT_ONCE` queues, except queues with messages.

        The removal is optional, so errors are ignored: an account may lack the right to write.
        """
        names = queues[:UNLISTED_AT_ONCE]
        if not names:
            return
        with suppress(BrokerError):
            if self._one_place:
                keys = [self._keys.queues, *self._keys.of("unlist", *names)]
                await self._replies([Call("unlist", keys, names)])
            else:
                await self._unlist_on_a_cluster(names)

    async def _unlist_on_a_cluster(self, names: Sequence[str]) -> None:
        await self._replies([Plain(("SREM", self._keys.queues, *names))])
        keys = self._keys.of("unlist", *names)
        replies = await self._replies([Plain(("EXISTS", key)) for key in keys])
        # a queue that cannot be checked may contain messages
        if kept := [name for name, reply in zip(names, replies, strict=True) if reply != 0]:
            await self._replies([self._add(kept)])

    async def _add_again(self, queues: Iterable[str]) -> None:
        # the messages are stored even if this fails: the next call tries it again
        self._forget(queues)
        with suppress(BrokerError):
            (reply,) = await self._replies([self._add(queues)])
            self._note(queues, reply)

    def _unregistered(self, queues: Iterable[str]) -> list[str]:
        now = time.monotonic()
        names = dict.fromkeys(queues)
        return [name for name in names if self._registered.get(name, -math.inf) < now]

    def _note(self, queues: Iterable[str], reply: object) -> None:
        if not isinstance(reply, BrokerError):
            until = time.monotonic() + REGISTER_EVERY
            self._registered.update(dict.fromkeys(queues, until))

    def _forget(self, queues: Iterable[str]) -> None:
        for queue in queues:
            self._registered.pop(queue, None)

    def _add(self, queues: Iterable[str]) -> Plain:
        return Plain(("SADD", self._keys.queues, *queues))
