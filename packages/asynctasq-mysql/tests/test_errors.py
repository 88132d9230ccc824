"""Error messages about unusable servers and refused calls."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote
from uuid import uuid4

import pytest

from asynctasq.drivers import Message
from asynctasq.errors import BrokerRejected, BrokerUnavailable

SECRET = "s3cret-pa55"

pytestmark = pytest.mark.anyio


async def connect_fails(driver, kind: type[Exception]) -> str:
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        await driver.connect()
    assert time.monotonic() - started < 20
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    await driver.disconnect()
    return text


async def test_nobody_listens(driver_on) -> None:
    driver = driver_on(f"mysql://me:{SECRET}@127.0.0.1:1/test")
    text = await connect_fails(driver, BrokerUnavailable)
    assert "cannot reach MySQL at mysql://me:***@127.0.0.1:1/test" in text


async def test_there_is_no_such_host(driver_on) -> None:
    await connect_fails(driver_on("mysql://no-such-host.invalid/db"), BrokerUnavailable)


async def test_there_is_no_such_socket(driver_on, tmp_path) -> None:
    driver = driver_on(f"mysql:///db?unix_socket={tmp_path}/none.sock")
    await connect_fails(driver, BrokerUnavailable)


@asynccontextmanager
async def answering(greeting: bytes) -> AsyncIterator[str]:
    """Return the DSN of a server that sends these bytes."""
    handlers: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        writer.write(greeting)
        while await reader.read(100):
            pass
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        yield f"mysql://127.0.0.1:{listener.sockets[0].getsockname()[1]}/db"
        await asyncio.gather(*(task for task in handlers if task))


async def test_a_host_that_says_nothing_is_given_up(driver_on) -> None:
    async with answering(b"") as dsn:
        text = await connect_fails(driver_on(dsn), BrokerUnavailable)
    assert "no answer in time" in text


async def test_a_server_that_is_none_of_mysqls_is_given_up(driver_on) -> None:
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9) as dsn:
        await connect_fails(driver_on(dsn), BrokerUnavailable)


async def test_wrong_credentials_are_named_as_such(driver_on, server) -> None:
    driver = driver_on(f"mysql://root:wrong-{SECRET}@127.0.0.1:{server.port}/test")
    assert "mysql_dsn" in await connect_fails(driver, BrokerRejected)


async def test_a_missing_database_is_named_as_such(driver_on, server) -> None:
    driver = driver_on(f"mysql://root@127.0.0.1:{server.port}/none")
    assert "no database of this name" in await connect_fails(driver, BrokerRejected)


async def test_a_server_without_tls_is_refused_where_tls_is_wanted(driver_on, server) -> None:
    driver = driver_on(f"{server.url}?ssl_mode=required")
    assert "offers no TLS" in await connect_fails(driver, BrokerRejected)


async def test_passwords_of_any_characters_are_taken(driver_on, server) -> None:
    user = new_user(server, password="p@s:s/w%ö€")
    server.ask(f"GRANT ALL ON test.* TO {user}@'%'")
    password = quote("p@s:s/w%ö€", safe="")
    driver = driver_on(f"mysql://{user}:{password}@127.0.0.1:{server.port}/test")
    assert "migrate" in await connect_fails(driver, BrokerRejected)


async def test_a_missing_right_names_the_grant(on_server, driver_on, server) -> None:
    owner = await on_server()
    user = new_user(server)
    server.ask(f"GRANT SELECT ON test.* TO {user}@'%'")
    driver = driver_on(
        f"mysql://{user}@127.0.0.1:{server.port}/test",
        mysql_queue_table=owner.mysql.mysql_queue_table,
        mysql_dead_letter_table=owner.mysql.mysql_dead_letter_table,
    )
    await driver.connect()
    with pytest.raises(BrokerRejected, match=rf"GRANT INSERT, UPDATE ON .* TO '{user}'@"):
        await driver.enqueue([Message("id", "queue", b"")])
    with pytest.raises(BrokerRejected, match="GRANT CREATE ON"):
        await driver_on(f"mysql://{user}@127.0.0.1:{server.port}/test").migrate()
    await driver.disconnect()


async def test_a_database_without_rights_names_the_grant(driver_on, server) -> None:
    user = new_user(server)
    server.ask("CREATE DATABASE IF NOT EXISTS closed")
    driver = driver_on(f"mysql://{user}@127.0.0.1:{server.port}/closed")
    assert "GRANT SELECT, INSERT" in await connect_fails(driver, BrokerRejected)


async def test_a_body_beyond_the_servers_packets_is_refused_before_it_is_sent(on_server) -> None:
    driver = await on_server()
    longest = driver.limits.max_body
    await driver.enqueue([Message("fits", "queue", b"\xff" * longest)])
    with pytest.raises(BrokerRejected, match="max_allowed_packet"):
        await driver.enqueue(
            [Message("one", "queue", b""), Message("two", "queue", b"\0" * (longest + 1))]
        )
    (taken,) = await driver.dequeue(["queue"], limit=9, lease=30, wait=0)
    assert (taken.id, len(taken.body)) == ("fits", longest)


async def test_many_large_bodies_are_stored_in_several_packets(on_server) -> None:
    driver = await on_server()
    sent = [Message(str(number), "queue", bytes([number]) * 3_000_000) for number in range(6)]
    await driver.enqueue(sent)
    taken = await driver.dequeue(["queue"], limit=9, lease=30, wait=0)
    assert [(one.id, one.body) for one in taken] == [(one.id, one.body) for one in sent]


@pytest.mark.parametrize("name", ["x" * 256, "ü" * 128])
async def test_a_name_that_is_too_long_is_refused(driver, name: str) -> None:
    for message in (Message(name, "queue", b""), Message("id", name, b"")):
        with pytest.raises(BrokerRejected, match="255"):
            await driver.enqueue([message])


@pytest.mark.parametrize("delay", [-1, float("inf"), float("nan"), 1e12])
async def test_what_is_no_delay_is_refused(driver, delay: float) -> None:
    with pytest.raises(BrokerRejected, match="delay"):
        await driver.enqueue([Message("id", "queue", b"", delay)])


async def test_before_a_connect_it_says_so(driver_on) -> None:
    with pytest.raises(BrokerUnavailable, match="connect"):
        await driver_on("mysql://host/db").dequeue(["queue"], limit=1, lease=1, wait=0)


def new_user(server, *, password: str = "") -> str:
    user = f"u{uuid4().hex[:12]}"
    server.ask(f"CREATE USER {user}@'%' IDENTIFIED BY '{password}'")
    return user
