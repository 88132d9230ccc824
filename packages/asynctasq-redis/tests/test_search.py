"""No sequence of calls on a server breaks a promise."""

import pytest

from asynctasq.testing.search import NewDriver, SearchContract
from asynctasq_redis import RedisDriver, RedisSettings


class TestSearch(SearchContract):
    """By the server's own clock."""

    examples = 30

    @pytest.fixture
    def new_driver(self, settings: RedisSettings) -> NewDriver:
        return lambda: RedisDriver(settings)
