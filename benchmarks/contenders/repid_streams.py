"""repid with Redis streams."""

import bodies
from common import CONCURRENCY, URL, Moments, by_hundreds, main
from repid import Repid, Router
from repid.connections.redis import RedisServer

app = Repid()
app.servers.register_server("redis", RedisServer(URL), is_default=True)
router = Router()
router.actor(channel="benchmark", name="noop")(bodies.noop)
router.actor(channel="benchmark", name="stamp")(bodies.stamp)
app.include_router(router)


async def put(topic: str, **payload: object) -> None:
    headers = {"topic": topic}
    await app.send_message_json(channel="benchmark", payload=payload, headers=headers)


async def enqueue(count: int) -> None:
    async with app.servers.default.connection():
        await by_hundreds(count, lambda: put("noop"))


async def send(moments: Moments) -> None:
    async with app.servers.default.connection():
        async for sent in moments:
            await put("stamp", sent=sent)


async def work() -> None:
    async with app.servers.default.connection():
        await app.run_worker(tasks_limit=CONCURRENCY)


main(enqueue, send, work)
