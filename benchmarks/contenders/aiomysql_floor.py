"""The bare client, aiomysql: leases and deletes in batches, on one connection; polls."""

import asyncio
import secrets
from urllib.parse import unquote, urlsplit

import aiomysql
import floor
from common import CONCURRENCY, URL, Moments, main

TABLE = """
CREATE TABLE waiting (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    visible_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    token BIGINT UNSIGNED,
    body LONGBLOB NOT NULL,
    KEY due (visible_at, id)
) ENGINE = InnoDB
"""
#: aiomysql makes one statement of many rows only of values so plain, after a space.
INSERT = "INSERT INTO waiting (body) VALUES (%s)"
SELECT = """
SELECT id, body FROM waiting FORCE INDEX (due) WHERE visible_at <= CURRENT_TIMESTAMP(6)
ORDER BY visible_at, id LIMIT %s FOR UPDATE SKIP LOCKED
"""
LEASE = """
UPDATE waiting SET visible_at = CURRENT_TIMESTAMP(6) + INTERVAL 30 SECOND, token = %s
WHERE id IN %s
"""
DELETE = "DELETE FROM waiting WHERE id IN %s AND token = %s"
#: Seconds between two looks.
PAUSE = 0.025


async def connect() -> aiomysql.Connection:
    parts = urlsplit(URL)
    return await aiomysql.connect(
        host=parts.hostname or "localhost",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        db=parts.path.strip("/"),
        autocommit=True,
        init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    )


async def prepare() -> None:
    async with (await connect()).cursor() as cursor:
        await cursor.execute(TABLE)


async def enqueue(count: int) -> None:
    async with (await connect()).cursor() as cursor:
        for start in range(0, count, 1000):
            await cursor.executemany(INSERT, [floor.NOOP] * min(1000, count - start))


async def send(moments: Moments) -> None:
    async with (await connect()).cursor() as cursor:
        async for sent in moments:
            await cursor.execute(INSERT, (floor.SENT.pack(sent),))


async def work() -> None:
    connection = await connect()
    async with connection.cursor() as cursor:
        while True:
            token = secrets.randbits(63)
            await connection.begin()
            await cursor.execute(SELECT, (CONCURRENCY,))
            rows = await cursor.fetchall()
            ids = [row[0] for row in rows]
            if rows:
                await cursor.execute(LEASE, (token, ids))
            await connection.commit()
            if not rows:
                await asyncio.sleep(PAUSE)
                continue
            for _, body in rows:
                floor.count(body)
            await cursor.execute(DELETE, (ids, token))


main(enqueue, send, work, prepare)
