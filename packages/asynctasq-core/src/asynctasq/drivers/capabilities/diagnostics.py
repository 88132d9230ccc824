"""The `Diagnostics` capability: finds what keeps workers from running well."""

import enum
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable


class Level(enum.Enum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of the broker.

    Attributes:
        name: the subject of the check, in one or two words.
        value: the result, for display.
        level: WARNING where workers run, but slower or less safely; PROBLEM where they do not.
        advice: the remedy, in one line; empty if none is needed.
    """

    name: str
    value: str
    level: Level = Level.OK
    advice: str = ""

    @classmethod
    def of_paused(cls, queues: Sequence[str]) -> Self:
        """The finding about the queues that `Control.pause` has paused."""
        if not queues:
            return cls("paused queues", "none")
        advice = f"their messages are not delivered until: asynctasq resume {shlex.join(queues)}"
        return cls("paused queues", ", ".join(queues), Level.WARNING, advice)


@runtime_checkable
class Diagnostics(Protocol):
    """Check the broker for conditions that keep workers from running well."""

    async def diagnose(self) -> Sequence[Finding]:
        """Return the findings, in an order that suits a reader.

        - Works whether the driver is connected or not, and leaves it in that state. A condition
          that `connect` refuses, such as an outdated schema, is a finding where possible.
        - Changes no stored data, and needs no rights beyond a worker's: a check that lacks
          rights reports that in its value.
        - Raises `BrokerUnavailable` and `BrokerRejected` as `BaseDriver.connect` does, where the
          broker does not allow a connection.
        """
        ...
