"""The `Diagnostics` capability: finds what keeps workers from running well."""

import enum
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable


class Level(enum.Enum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at in the broker.

    Attributes:
        name: what it is, in one or two words.
        value: what was found, for people.
        level: WARNING where workers run, and could run better or safer; PROBLEM where they do not.
        advice: what to do, in one line; empty when nothing is to be done.
    """

    name: str
    value: str
    level: Level = Level.OK
    advice: str = ""

    @classmethod
    def of_paused(cls, queues: Sequence[str]) -> Self:
        """What is to be said of the queues that `Control.pause` holds back."""
        if not queues:
            return cls("paused queues", "none")
        advice = f"nothing of them is delivered until: asynctasq resume {shlex.join(queues)}"
        return cls("paused queues", ", ".join(queues), Level.WARNING, advice)


@runtime_checkable
class Diagnostics(Protocol):
    """Look into the broker for what keeps workers from running well."""

    async def diagnose(self) -> Sequence[Finding]:
        """What was found, in an order that makes sense to people.

        - Works whether the driver is connected or not, and leaves it as it was; what `connect`
          refuses, such as a schema that is behind, is a finding as far as there is an answer.
        - Changes nothing that is stored, and takes no rights that a worker does not need: what
          cannot be read says so in its value.
        - Raises `BrokerUnavailable` and `BrokerRejected` as `BaseDriver.connect` does, where the
          broker lets nobody look.
        """
        ...
