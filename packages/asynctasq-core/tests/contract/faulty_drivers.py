"""One test class for each fault; `test_the_suite_catches_faults` runs it and sees it fail."""

import sys
from uuid import uuid4

import pytest

from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq.testing.contract import Contract, NewDriver
from asynctasq.testing.faults import FAULTS, ContractTest


def contract_class(test: ContractTest) -> type[Contract]:
    name = test.__qualname__.partition(".")[0]
    return getattr(sys.modules[test.__module__], name)


def class_for(fault: type[MemoryDriver], contract: type[Contract]) -> type[Contract]:
    class Faulty(contract):
        patience = 1.0

        @pytest.fixture
        def new_driver(self) -> NewDriver:
            settings = MemorySettings(memory_url=f"memory://{uuid4().hex}")
            return lambda: fault(settings)

    return Faulty


globals().update(
    {
        f"Test{fault.__name__}": class_for(fault, contract_class(test))
        for fault, test in FAULTS.items()
    }
)
