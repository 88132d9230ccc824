"""How time passes in a search: in steps if a store's clock can be set, else in real time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

#: Longer than any search, in seconds.
FOREVER = 3600.0


class Times(Protocol):
    """The durations that a search uses, in seconds, and the way time passes.

    Attributes:
        delays: the delays of messages and outcomes.
        leases: the lengths of leases, above 0.
    """

    delays: tuple[float, ...]
    leases: tuple[float, ...]

    def passed(self) -> float:
        """The seconds that the model's clock has moved."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass, if the clock can be set."""
        ...

    def is_soon(self, duration: float) -> bool:
        """Whether to wait for the end of `duration` right after a call."""
        ...


@dataclass(slots=True)
class SteppedTimes:
    """Time stands still between steps; `set_clock` receives the seconds since the start."""

    set_clock: Callable[[float], None]
    delays: tuple[float, ...] = (0.0, 1.0, 2.0, 5.0, FOREVER)
    leases: tuple[float, ...] = (1.0, 2.0, 5.0, FOREVER)
    _now: float = field(default=0.0)

    def passed(self) -> float:
        """The seconds of all steps."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self._now += seconds
        self.set_clock(self._now)

    def is_soon(self, duration: float) -> bool:
        """Always false: `advance` moves the clock."""
        return False


@dataclass(slots=True)
class RealTimes:
    """The broker's own clock. A duration is over at once, after `soon` seconds, or never."""

    soon: float = 0.02
    delays: tuple[float, ...] = field(init=False)
    leases: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.delays = (0.0, self.soon, FOREVER)
        self.leases = (self.soon, FOREVER)

    def passed(self) -> float:
        """Always 0."""
        return 0.0

    def advance(self, seconds: float) -> None:
        """Do nothing: time passes by itself."""

    def is_soon(self, duration: float) -> bool:
        """Whether `duration` is the short one."""
        return duration == self.soon
