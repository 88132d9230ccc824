"""Locks of a client that vanished are released."""

import pytest

from asynctasq_mysql.literals import BEGIN, COMMIT

pytestmark = pytest.mark.anyio


async def test_the_server_soon_ends_a_transaction_whose_client_is_silent(on_server) -> None:
    driver = await on_server()
    asked = "SELECT @@session.wait_timeout, @@global.wait_timeout"
    async with driver.session._pool.link() as link:
        *_, ((inside, usual),) = await link.run(f"{BEGIN}; {asked}")
        *_, ((after, _),) = await link.run(f"{COMMIT}; {asked}")
    assert inside == 20
    assert after == usual != inside
