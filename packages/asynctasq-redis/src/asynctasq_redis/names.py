"""The names of all keys, and the keys of each script.

All keys of a queue share the hash tag ``{prefix:queue}``, so on a Cluster they share a slot.

=========  ====  ==================================================================
ready      list  deliverable messages, oldest first: 16 digits of µs since when, id
delayed    zset  id → µs at which it becomes deliverable
held       zset  id → µs at which its lease ends
bodies     hash  id → 16 digits of µs since when it is deliverable, body
meta       hash  id → nothing before its first delivery; while it is held ``attempt:token``,
                 or ``attempt!token`` if the attempt before ended without an outcome; since it
                 is given back ``attempt@µs``, or ``attempt~µs`` if it was released from a
                 delivery with ``!``, so that the next has it, too
dead       zset  id → µs at which it died
notes      hash  id → why it died
gone       hash  id → how many of its entries in ``ready`` belong to deleted messages
wake       zset  at most two markers, which waiters pop; see `wake`
paused     text  exists while the queue is paused
=========  ====  ==================================================================
"""

from collections.abc import Sequence
from typing import Final

#: The keys each script names, in its order.
SCRIPT_KEYS: Final = {
    "enqueue": ("bodies", "ready", "delayed", "wake"),
    "unlist": ("bodies",),
    "lost": ("meta", "held"),
    "dequeue": ("ready", "delayed", "held", "bodies", "meta", "gone", "wake", "paused"),
    "done": ("meta", "held", "bodies"),
    "settle": ("meta", "held", "ready", "delayed", "dead", "notes", "wake"),
    "extend": ("meta", "held"),
    "wake": ("ready", "delayed", "wake"),
    "stats": ("bodies", "ready", "delayed", "held", "dead"),
    "find": ("bodies", "meta", "delayed", "held", "dead", "notes"),
    "browse": ("ready", "delayed", "held", "dead", "gone"),
    "requeue": ("dead", "notes", "meta", "ready", "wake"),
    "delete": ("bodies", "meta", "delayed", "held", "dead", "notes", "gone", "wake"),
    "pause": ("paused",),
    "resume": ("paused", "bodies", "wake"),
    "revoke": ("bodies", "meta", "held"),
    "purge": (
        *("bodies", "meta", "ready", "delayed", "held"),
        *("dead", "notes", "gone", "wake"),
    ),
}


class Keys:
    """The names of all keys of one application."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        #: set of the names of all queues with messages, and perhaps of some that became empty
        self.queues = f"{prefix}:queues"
        #: set of the names of the paused queues, and perhaps of some that were just resumed
        self.paused = f"{prefix}:paused"
        #: zset of the workers' expiry times, and hash of their reports
        self.workers = (f"{{{prefix}}}:workers", f"{{{prefix}}}:worker-infos")

    def wake(self, queue: str) -> str:
        """The markers that waiters pop."""
        return f"{{{self._prefix}:{queue}}}:wake"

    def of(self, script: str, *queues: str) -> Sequence[str]:
        """The keys of `script` for `queues`, in its order."""
        return [
            f"{{{self._prefix}:{queue}}}:{name}" for queue in queues for name in SCRIPT_KEYS[script]
        ]
