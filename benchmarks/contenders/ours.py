"""AsyncTasQ."""

import bodies
from common import CONCURRENCY, NAME, URL, Moments, main

from asynctasq import DriverFactory, Worker, dispatch_many, init, task
from asynctasq.drivers import Migrator

if URL.startswith("amqp"):
    config = init(driver="rabbitmq", rabbitmq_url=URL, rabbitmq_exchange_name=NAME)
else:
    config = init(url=URL)

noop = task(bodies.noop)
stamp = task(bodies.stamp)


async def prepare() -> None:
    driver = DriverFactory.create_from_config(config)
    assert isinstance(driver, Migrator)
    await driver.migrate()


async def enqueue(count: int) -> None:
    for start in range(0, count, 1000):
        await dispatch_many([noop() for _ in range(min(1000, count - start))])


async def send(moments: Moments) -> None:
    async for sent in moments:
        await stamp(sent).dispatch()


async def work() -> None:
    driver = DriverFactory.create_from_config(config)
    await Worker(driver, concurrency=CONCURRENCY).start()


main(enqueue, send, work, prepare)
