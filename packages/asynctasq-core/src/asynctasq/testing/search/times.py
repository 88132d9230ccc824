"""How time passes in a search: by steps where a store's clock can be set, else really."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

#: Seconds that no search takes.
FOREVER = 3600.0


class Times(Protocol):
    """The durations that a search uses, in seconds, and what makes time pass.

    Attributes:
        delays: of messages and outcomes.
        leases: never nothing: nobody asks for such a lease.
    """

    delays: tuple[float, ...]
    leases: tuple[float, ...]

    def passed(self) -> float:
        """Seconds that the model's clock has moved."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass, where it can be made to."""
        ...

    def is_soon(self, duration: float) -> bool:
        """Whether to wait, right after a call, until `duration` is over."""
        ...


@dataclass(slots=True)
class SteppedTimes:
    """Time stands still between steps; `set_clock` is told the seconds since the start."""

    set_clock: Callable[[float], None]
    delays: tuple[float, ...] = (0.0, 1.0, 2.0, 5.0, FOREVER)
    leases: tuple[float, ...] = (1.0, 2.0, 5.0, FOREVER)
    _now: float = field(default=0.0)

    def passed(self) -> float:
        """Seconds of all steps."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self._now += seconds
        self.set_clock(self._now)

    def is_soon(self, duration: float) -> bool:
        """Never: there is `advance`."""
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
        """Nothing, for the model."""
        return 0.0

    def advance(self, seconds: float) -> None:
        """Time passes by itself."""

    def is_soon(self, duration: float) -> bool:
        """Whether it is the one that can be waited for."""
        return duration == self.soon
