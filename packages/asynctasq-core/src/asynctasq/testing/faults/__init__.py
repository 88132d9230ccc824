"""Drivers with one fault each, and the test of the contract that must catch it.

Each is the memory driver with one promise broken, in a way a broker's client, a storage or a
hurried author breaks it. They test the suite, and show a driver's author what to look out for.
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
