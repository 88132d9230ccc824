"""Runs Lua scripts, several in one round trip.

A script is called by its hash. A server without it (restarted, failed over, flushed) receives its
text instead, and caches it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Protocol

from redis.exceptions import NoScriptError

Argument = str | bytes | int
Command = Sequence[Argument]


class Once(tuple[Argument, ...]):
    """A command that must not be repeated after an error: it may have been executed."""


class CanRun(Protocol):
    """Runs commands in one round trip, with an error in the place of a failed reply."""

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """The replies, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the script called `name`, `once` if it must not be repeated after an error."""

    name: str
    keys: Sequence[str]
    arguments: Sequence[Argument] = ()
    once: bool = False

    def by_hash(self) -> Command:
        """The command for a server that has cached the script."""
        return self._command("EVALSHA", _source(self.name)[1])

    def in_full(self) -> Command:
        """The command with the script's text."""
        return self._command("EVAL", _source(self.name)[0])

    def _command(self, verb: str, script: str) -> Command:
        command = (verb, script, len(self.keys), *self.keys, *self.arguments)
        return Once(command) if self.once else command


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain command, sent along with calls of scripts."""

    command: Command

    def by_hash(self) -> Command:
        """The command."""
        return self.command

    def in_full(self) -> Command:
        """The command."""
        return self.command


async def replies_of(server: CanRun, calls: Sequence[Call | Plain]) -> list[object]:
    """Return the reply or error of each call; without calls there is no round trip."""
    if not calls:
        return []
    replies = await server.run([call.by_hash() for call in calls])
    unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:
        again = await server.run([calls[i].in_full() for i in unknown])
        for i, reply in zip(unknown, again, strict=True):
            replies[i] = reply
    return replies


@cache
def _source(name: str) -> tuple[str, str]:
    text = files("asynctasq_redis").joinpath("lua", f"{name}.lua").read_text("utf-8")
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()
