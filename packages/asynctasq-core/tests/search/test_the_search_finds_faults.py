"""The search fails on a driver with a fault, so that it says something when it passes."""

import pytest
from hypothesis import Phase, settings
from stores import Clock, in_memory

from asynctasq.drivers.memory import MemoryDriver
from asynctasq.testing.faults.dequeue import CountsNoAttempt, NeverEndsALease
from asynctasq.testing.faults.enqueue import OverwritesAStoredId
from asynctasq.testing.faults.settle import (
    ExtendsForAnybody,
    SettlesForAnybody,
    TakesDeadForDone,
    TakesReleaseForRetry,
    TakesRetryForDone,
)
from asynctasq.testing.search import SteppedTimes, profile, search

FAULTS = [
    TakesRetryForDone,
    TakesDeadForDone,
    TakesReleaseForRetry,
    SettlesForAnybody,
    ExtendsForAnybody,
    CountsNoAttempt,
    NeverEndsALease,
    OverwritesAStoredId,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found(fault: type[MemoryDriver], clock: Clock, times: SteppedTimes) -> None:
    first_found = settings(profile(120), phases=[Phase.generate])
    with pytest.raises(AssertionError):
        search(in_memory(fault, clock), times, first_found)
