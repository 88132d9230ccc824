"""repid with Redis streams."""

import asyncio

from common import CONCURRENCY, URL, Moments, main, tally
from repid import Repid, Router
from repid.connections.redis import RedisServer

app = Repid()
app.servers.register_server("redis", RedisServer(URL), is_default=True)
router = Router()


@router.actor(channel="benchmark")
async def noop() -> None:
    tally.hit()


@router.actor(channel="benchmark")
async def stamp(sent: float) -> None:
    tally.stamp(sent)


app.include_router(router)


async def put(topic: str, **payload: object) -> None:
    headers = {"topic": topic}
    await app.send_message_json(channel="benchmark", payload=payload, headers=headers)


async def enqueue(count: int) -> None:
    async with app.servers.default.connection():
        for _ in range(0, count, 100):  # it has no bulk call
            await asyncio.gather(*(put("noop") for _ in range(100)))


async def send(moments: Moments) -> None:
    async with app.servers.default.connection():
        async for sent in moments:
            await put("stamp", sent=sent)


async def work() -> None:
    async with app.servers.default.connection():
        await app.run_worker(tasks_limit=CONCURRENCY)


main(enqueue, send, work)
