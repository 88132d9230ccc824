"""The promises of the driver seam, as pytest classes to inherit.

A driver's author overrides one fixture::

    class TestMyDriver(DriverContract):
        @pytest.fixture
        def new_driver(self):
            return lambda: MyDriver(MySettings(...))

The fixture returns a function that makes an unconnected driver; all the drivers it makes share
their messages. Each test uses fresh queue names and removes nothing. A driver's `Limits` declare
what its broker cannot do, and the tests of that are expected to fail; for any other gap, mark the
inherited test ``xfail`` with a reason. Each capability has its own class: `InspectorContract`,
`ControlContract`, `WorkersContract`, `DiagnosticsContract`. For a broker that is a server, there is
`UnreachableContract`, whose `new_driver` makes drivers that connect to nothing.
"""

from importlib.util import find_spec
from pkgutil import iter_modules

if not (find_spec("pytest") and find_spec("anyio")):
    raise ImportError(
        "asynctasq.testing.contract needs pytest and anyio: pip install 'asynctasq-core[testing]'"
    )

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{one.name}" for one in iter_modules(__path__)))

from asynctasq.testing.contract.abandoned import (  # noqa: E402 - after the rewrite
    AbandonedContract,
)
from asynctasq.testing.contract.base import Contract, NewDriver  # noqa: E402
from asynctasq.testing.contract.browse import BrowseContract  # noqa: E402
from asynctasq.testing.contract.connection import ConnectionContract  # noqa: E402
from asynctasq.testing.contract.control import ControlContract  # noqa: E402
from asynctasq.testing.contract.counts import CountsContract  # noqa: E402
from asynctasq.testing.contract.dequeue import DequeueContract  # noqa: E402
from asynctasq.testing.contract.diagnostics import DiagnosticsContract  # noqa: E402
from asynctasq.testing.contract.enqueue import EnqueueContract  # noqa: E402
from asynctasq.testing.contract.extend import ExtendContract  # noqa: E402
from asynctasq.testing.contract.repair import RepairContract  # noqa: E402
from asynctasq.testing.contract.settle import SettleContract  # noqa: E402
from asynctasq.testing.contract.unreachable import UnreachableContract  # noqa: E402
from asynctasq.testing.contract.wait import WaitContract  # noqa: E402
from asynctasq.testing.contract.workers import WorkersContract  # noqa: E402

__all__ = [
    "AbandonedContract",
    "BrowseContract",
    "ConnectionContract",
    "Contract",
    "ControlContract",
    "CountsContract",
    "DequeueContract",
    "DiagnosticsContract",
    "DriverContract",
    "EnqueueContract",
    "ExtendContract",
    "InspectorContract",
    "NewDriver",
    "RepairContract",
    "SettleContract",
    "UnreachableContract",
    "WaitContract",
    "WorkersContract",
]


class DriverContract(
    ConnectionContract,
    EnqueueContract,
    DequeueContract,
    WaitContract,
    SettleContract,
    ExtendContract,
    AbandonedContract,
):
    """All promises of the seam."""


class InspectorContract(CountsContract, BrowseContract, RepairContract):
    """All promises of the `Inspector` capability."""
