"""The search as a pytest class to inherit, and as a function."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from asynctasq.drivers import BaseDriver
from asynctasq.testing.search.machine import DriverMachine
from asynctasq.testing.search.profile import profile
from asynctasq.testing.search.searched import Searched
from asynctasq.testing.search.times import RealTimes, Times

NewDriver = Callable[[], BaseDriver]


class SearchContract:
    """No sequence of calls breaks a promise. Override `new_driver`, and optionally `times`."""

    #: The number of sequences to try.
    examples = 40

    @pytest.fixture
    def new_driver(self) -> NewDriver:
        """A function that makes an unconnected driver; override it."""
        pytest.fail("override the fixture new_driver: it returns a function that makes a driver")

    @pytest.fixture
    def times(self) -> Times:
        """How time passes."""
        return RealTimes()

    def test_no_sequence_of_calls_breaks_a_promise(
        self, new_driver: NewDriver, times: Times
    ) -> None:
        """Nothing is lost, and counts, attempts and holders match the model."""
        search(new_driver, times, profile(self.examples))


def search(new_driver: NewDriver, times: Times, rules: settings) -> None:
    """Raise AssertionError for a sequence of calls that breaks a promise, the shortest found.

    Args:
        new_driver: makes drivers that share their messages.
        times: how time passes for the drivers.
        rules: the settings of the search.
    """
    with asyncio.Runner() as runner:
        drivers = [new_driver(), new_driver()]
        try:
            for driver in drivers:
                runner.run(driver.connect())
            searched = [Searched(driver, runner) for driver in drivers]

            class Searching(DriverMachine):
                def __init__(self) -> None:
                    super().__init__(searched, times)

            run_state_machine_as_test(Searching, settings=rules)
        finally:
            for driver in drivers:
                runner.run(driver.disconnect())
