"""Drivers with one planted fault each, and the test of the contract that must catch it.

Each is the memory driver with one broken promise, as a client library, a storage or a hurried
author would break it. They test the suite, and show driver authors common mistakes.
"""

from asynctasq.testing.faults import (
    abandoned,
    capabilities,
    connection,
    control,
    dequeue,
    diagnostics,
    enqueue,
    settle,
    wait,
)
from asynctasq.testing.faults.registry import FAULTS, ContractTest, caught_by

__all__ = [
    "FAULTS",
    "ContractTest",
    "abandoned",
    "capabilities",
    "caught_by",
    "connection",
    "control",
    "dequeue",
    "diagnostics",
    "enqueue",
    "settle",
    "wait",
]
