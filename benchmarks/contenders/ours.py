"""AsyncTasQ."""

import bodies
from common import CONCURRENCY, NAME, URL, Moments, main
from tally import tally

from asynctasq import DriverFactory, Worker, dispatch_many, init, task
from asynctasq.drivers import Migrator
from asynctasq.events import Event, TaskSucceeded
from asynctasq.utils.collector import collect_less_often

if URL.startswith("amqp"):
    config = init(driver="rabbitmq", rabbitmq_url=URL, rabbitmq_exchange_name=NAME)
else:
    config = init(url=URL)
DriverFactory.create_from_config(config)  # imported by now, as the others' clients are

IN_PROCESS = bodies.TASK == "process"

noop = task(bodies.noop, process=IN_PROCESS)
stamp = task(bodies.stamp)


class Counter:
    """Counts what other processes ran."""

    async def emit(self, event: Event) -> None:
        if isinstance(event, TaskSucceeded):
            tally.hit()


async def prepare() -> None:
    driver = DriverFactory.create_from_config(config)
    assert isinstance(driver, Migrator)
    await driver.migrate()


async def enqueue(count: int) -> None:
    for start in range(0, count, 1000):
        await dispatch_many([noop() for _ in range(min(1000, count - start))])


async def put() -> None:
    await noop().dispatch()


async def send(moments: Moments) -> None:
    async for sent in moments:
        await stamp(sent).dispatch()


async def work() -> None:
    collect_less_often()  # as `asynctasq worker` does
    driver = DriverFactory.create_from_config(config)
    emitters = [Counter()] if IN_PROCESS else []
    await Worker(driver, concurrency=CONCURRENCY, emitters=emitters).start()


if __name__ == "__main__":  # not in the processes of the pool, which import this file
    main(enqueue, send, work, prepare, put)
