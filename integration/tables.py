"""Tables of the tests' own in a database, and their end."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from asynctasq import Config, DriverFactory


@contextmanager
def with_tables(driver: str, url: str) -> Iterator[dict[str, str]]:
    """Settings with tables of their own, which are created, and dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    tables = {f"{driver}_queue_table": name, f"{driver}_dead_letter_table": f"{name}_dead"}
    settings = {"driver": driver, f"{driver}_dsn": url, **tables}
    made: Any = DriverFactory.create_from_config(Config(**settings))
    asyncio.run(made.migrate())
    yield settings
    asyncio.run(drop_tables(url, name))


async def drop_tables(url: str, prefix: str) -> None:
    """Drop all tables whose names start with `prefix`, and the functions on them."""
    if url.startswith("postgres"):
        await _drop_in_postgres(url, prefix)
    else:
        _drop_in_mysql(url, prefix)


async def _drop_in_postgres(url: str, prefix: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE starts_with(tablename, $1)", prefix
        )
        for (name,) in found:
            await connection.execute(f'DROP TABLE "{name}" CASCADE')
        found = await connection.fetch(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE starts_with(proname, $1)", prefix
        )
        for (signature,) in found:
            await connection.execute(f"DROP FUNCTION {signature}")
    finally:
        await connection.close()


def _drop_in_mysql(url: str, prefix: str) -> None:
    import pymysql

    parts = urlsplit(url)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=unquote(parts.password or ""),
        database=parts.path.strip("/"),
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        for (name,) in cursor.fetchall():
            if name.startswith(prefix):
                cursor.execute(f"DROP TABLE `{name}`")
