"""Random sequences of calls on a driver, compared with a model of the seam's promises.

A driver's author overrides the same fixture as for the contract::

    class TestSearch(SearchContract):
        @pytest.fixture
        def new_driver(self):
            return lambda: MyDriver(MySettings(...))

It is for drivers with the `Inspector` capability whose `Limits` make every promise. If the store's
clock can be set, the fixture `times` makes time pass as well. Each run tries the same sequences;
``ASYNCTASQ_TEST_EXAMPLES=5000`` tries 5000 others.
"""

from importlib.util import find_spec
from pkgutil import iter_modules

if not (find_spec("pytest") and find_spec("hypothesis")):
    raise ImportError(
        "asynctasq.testing.search needs pytest and hypothesis: pip install pytest hypothesis"
    )

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{one.name}" for one in iter_modules(__path__)))

from asynctasq.testing.search.contract import NewDriver, SearchContract, search  # noqa: E402 - as above
from asynctasq.testing.search.profile import profile  # noqa: E402
from asynctasq.testing.search.times import RealTimes, SteppedTimes, Times  # noqa: E402

__all__ = ["NewDriver", "RealTimes", "SearchContract", "SteppedTimes", "Times", "profile", "search"]
