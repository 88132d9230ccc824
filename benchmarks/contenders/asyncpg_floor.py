"""The bare client, asyncpg: leases and deletes in batches, on one connection, wakes by NOTIFY."""

import asyncio
import secrets
from collections.abc import Iterable

import asyncpg
import floor
from common import CONCURRENCY, URL, Moments, main

TABLE = """
CREATE TABLE waiting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    visible_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    token bigint,
    body bytea NOT NULL
);
CREATE INDEX due ON waiting (visible_at, id);
"""
INSERT = """
WITH stored AS (INSERT INTO waiting (body) SELECT * FROM unnest($1::bytea[]))
SELECT pg_notify('waiting', '')
"""
CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM waiting WHERE visible_at <= clock_timestamp()
    ORDER BY visible_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE waiting AS held SET visible_at = clock_timestamp() + interval '30 s', token = $2
FROM due WHERE held.id = due.id
RETURNING held.id, held.body
"""
DELETE = "DELETE FROM waiting WHERE id = ANY($1::bigint[]) AND token = $2"
#: The table has no statistics: what would be planned without them is a scan of all of it.
BY_INDEX = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}


async def prepare() -> None:
    await (await asyncpg.connect(URL)).execute(TABLE)


async def put(connection: asyncpg.Connection, bodies: Iterable[bytes]) -> None:
    await connection.execute(INSERT, list(bodies))


async def enqueue(count: int) -> None:
    connection = await asyncpg.connect(URL)
    for start in range(0, count, 1000):
        await put(connection, [floor.NOOP] * min(1000, count - start))


async def send(moments: Moments) -> None:
    connection = await asyncpg.connect(URL)
    async for sent in moments:
        await put(connection, [floor.SENT.pack(sent)])


async def work() -> None:
    connection = await asyncpg.connect(URL, server_settings=BY_INDEX)
    news = asyncio.Event()
    listening = await asyncpg.connect(URL)
    await listening.add_listener("waiting", lambda *_: news.set())
    while True:
        news.clear()
        token = secrets.randbits(63)
        rows = await connection.fetch(CLAIM, CONCURRENCY, token)
        if not rows:
            await news.wait()
            continue
        for row in rows:
            floor.count(row["body"])
        await connection.execute(DELETE, [row["id"] for row in rows], token)


main(enqueue, send, work, prepare)
