"""What a driver says about servers it cannot use, and what it refuses."""

import asyncio
import logging
import math

import pytest
from pydantic import SecretStr

from asynctasq.drivers import Message
from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_postgres import PostgresDriver, PostgresSettings

SECRET = "s3cret-pa55"

pytestmark = pytest.mark.anyio


def driver_on(dsn: str, **more) -> PostgresDriver:
    return PostgresDriver(PostgresSettings(postgres_dsn=SecretStr(dsn), **more))


async def connect_fails(driver: PostgresDriver, kind: type[Exception]) -> str:
    with pytest.raises(kind) as caught:
        async with asyncio.timeout(10):
            await driver.connect()
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    await driver.disconnect()
    return text


async def test_nobody_listens() -> None:
    dsn = f"postgresql://user:{SECRET}@127.0.0.1:1/test"
    text = await connect_fails(driver_on(dsn), BrokerUnavailable)
    assert "cannot reach PostgreSQL at postgresql://user:***@127.0.0.1:1/test" in text


async def test_there_is_no_such_host() -> None:
    await connect_fails(driver_on("postgresql://no-such-host.invalid/test"), BrokerUnavailable)


async def test_there_is_no_such_database(server) -> None:
    text = await connect_fails(driver_on(f"{server.url}_none"), BrokerRejected)
    assert "has no such database" in text


async def test_there_is_no_such_option(server) -> None:
    text = await connect_fails(driver_on(f"{server.url}?colour=blue"), BrokerRejected)
    assert "colour" in text


async def test_an_unknown_sslmode(server) -> None:
    text = await connect_fails(driver_on(f"{server.url}?sslmode=perhaps"), BrokerRejected)
    assert "sslmode" in text


async def test_a_server_without_tls_is_refused_where_it_is_required(server) -> None:
    await connect_fails(driver_on(f"{server.url}?sslmode=require"), BrokerUnavailable)


async def test_there_is_no_such_user(server) -> None:
    dsn = f"postgresql://nobody:{SECRET}@127.0.0.1:{server.port}/postgres"
    text = await connect_fails(driver_on(dsn), BrokerRejected)
    assert "refuses the user or the password" in text


def as_user(server, *rights: str, name: str, migrated: bool = True) -> PostgresDriver:
    """A driver of a user with these rights."""
    tables = {"postgres_queue_table": name, "postgres_dead_letter_table": f"{name}_dead"}
    if migrated:
        asyncio.run(driver_on(server.url, **tables).migrate())
    for statement in (f"CREATE USER {name}", *rights):
        server.ask(statement)
    return driver_on(f"postgresql://{name}@127.0.0.1:{server.port}/postgres", **tables)


@pytest.fixture
def without_rights(server) -> PostgresDriver:
    return as_user(server, name="pauper")


@pytest.fixture
def without_insert(server) -> PostgresDriver:
    grants = [
        f"GRANT SELECT ON {one} TO reader"
        for one in ("reader", "reader_dead", "reader_workers", "reader_paused", "reader_migrations")
    ]
    return as_user(server, *grants, name="reader")


@pytest.fixture
def without_create(server) -> PostgresDriver:
    revoke = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    return as_user(server, revoke, name="tenant", migrated=False)


@pytest.fixture
def with_rights(server) -> PostgresDriver:
    tables = "owner, owner_dead, owner_workers, owner_paused, owner_migrations"
    return as_user(
        server, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO owner", name="owner"
    )


async def test_a_missing_right_is_named(without_rights) -> None:
    text = await connect_fails(without_rights, BrokerRejected)
    assert "lacks a right" in text
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON pauper_migrations" in text


async def test_a_right_that_is_missing_later_is_named(without_insert) -> None:
    await without_insert.connect()
    with pytest.raises(BrokerRejected, match="GRANT SELECT, INSERT, UPDATE, DELETE ON reader"):
        await without_insert.enqueue([Message("1", "queue", b"")])
    await without_insert.disconnect()


async def test_a_missing_right_to_migrate_is_named(without_create) -> None:
    with pytest.raises(BrokerRejected, match="GRANT USAGE, CREATE ON SCHEMA public"):
        await without_create.migrate()


async def test_the_rights_of_the_readme_suffice(with_rights) -> None:
    await with_rights.connect()
    await with_rights.enqueue([Message("1", "queue", b"")])
    held = await with_rights.dequeue(["queue"], limit=1, lease=30, wait=0)
    assert list(await with_rights.extend(held, lease=30)) == []
    await with_rights.queues()
    assert list(await with_rights.migrate()) == []
    await with_rights.disconnect()


@pytest.fixture
def guarded(tmp_path_factory, server):
    """A server that wants passwords."""
    server.ask(f"CREATE USER guarded PASSWORD '{SECRET}@/:%'")
    server.stop()
    server.set_hba("host all guarded 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 trust")
    server.start()
    return server


async def test_a_wrong_password(guarded) -> None:
    dsn = f"postgresql://guarded:{SECRET}@127.0.0.1:{guarded.port}/postgres"
    text = await connect_fails(driver_on(dsn), BrokerRejected)
    assert "password" in text


class TestCrowdedServer:
    """Here a server has few connections."""

    @pytest.fixture
    def crowded(self, server):
        server.stop()
        options = ("max_connections=6", "superuser_reserved_connections=0", "max_wal_senders=0")
        server.start(*options)
        tables = {"postgres_queue_table": "crowd", "postgres_dead_letter_table": "crowd_dead"}
        asyncio.run(driver_on(server.url, **tables).migrate())
        yield lambda **more: driver_on(server.url, **tables, **more)
        server.stop()
        server.start()

    async def test_it_may_have_no_connection_left(self, crowded) -> None:
        first = crowded(postgres_min_pool_size=6)
        await first.connect()
        text = await connect_fails(crowded(), BrokerUnavailable)
        assert "max_connections" in text
        await first.disconnect()


@pytest.mark.parametrize(
    "message",
    [
        Message("1", "queue", b"", math.nan),
        Message("1", "queue", b"", math.inf),
        Message("1", "queue", b"", -1),
        Message("1", "qu\0eue", b""),
        Message("1\0", "queue", b""),
        Message("\ud800", "queue", b""),
        Message("1", "", b""),
        Message("1" * 1001, "queue", b""),
        Message("1", "queue", bytes(64 * 1024 * 1024 + 1)),
    ],
    ids=lambda message: f"{message.id[:4]!a} {message.queue!a} {message.delay}",
)
async def test_what_cannot_be_stored_is_refused(driver, message: Message) -> None:
    with pytest.raises(BrokerRejected):
        await driver.enqueue([message])


async def test_the_longest_names_and_a_large_body_are_stored(driver) -> None:
    queue = "q" * 1000
    body = bytes(20 * 1024 * 1024)
    messages = [Message(str(number) * 1000, queue, body) for number in range(4)]
    await driver.enqueue(messages)
    taken = await driver.dequeue([queue], limit=9, lease=30, wait=0)
    assert [(one.id[0], len(one.body)) for one in taken] == [
        (str(number), len(body)) for number in range(4)
    ]
    await driver.delete(queue, [one.id for one in messages])


async def test_a_pooler_that_exchanges_connections_is_noticed(driver_with, caplog) -> None:
    """There, LISTEN is heard by nobody; one that forgets to listen stands for it."""
    driver = driver_with()
    await driver.connect()
    listener = driver.session.listener
    listener._on_notification = lambda *_: None
    with caplog.at_level(logging.WARNING, logger="asynctasq.postgres"):
        waiting = asyncio.ensure_future(driver.dequeue(["none"], limit=1, lease=30, wait=20))
        async with asyncio.timeout(15):
            while "postgres_notify" not in caplog.text:
                await asyncio.sleep(0.05)
    await driver.disconnect()
    with pytest.raises(BrokerUnavailable):
        await waiting
