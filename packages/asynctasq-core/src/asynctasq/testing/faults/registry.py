"""Registers each planted fault with the test of the contract that must catch it."""

from collections.abc import Callable
from typing import TypeVar

from asynctasq.drivers.memory import MemoryDriver
from asynctasq.drivers.memory_store import MemoryStore

ContractTest = Callable[..., object]
FaultT = TypeVar("FaultT", bound=type[MemoryDriver])
StoreT = TypeVar("StoreT", bound=MemoryStore)

#: The broken drivers, each with the test that must fail on it.
FAULTS: dict[type[MemoryDriver], ContractTest] = {}


def caught_by(test: ContractTest) -> Callable[[FaultT], FaultT]:
    """Register the decorated driver as one on which `test` must fail."""

    def register(fault: FaultT) -> FaultT:
        FAULTS[fault] = test
        return fault

    return register


def behaving_as(kind: type[StoreT], store: MemoryStore) -> StoreT:
    """Return the messages of `store`, handled by the methods of `kind`."""
    other = kind.__new__(kind)
    other.__dict__ = store.__dict__
    return other
