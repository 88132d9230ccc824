"""AsyncTasQ."""

from common import CONCURRENCY, URL, Moments, main, tally

from asynctasq import DriverFactory, Worker, dispatch_many, init, task

config = init(url=URL)


@task
async def noop() -> None:
    tally.hit()


@task
async def stamp(sent: float) -> None:
    tally.stamp(sent)


async def enqueue(count: int) -> None:
    for start in range(0, count, 1000):
        await dispatch_many([noop() for _ in range(min(1000, count - start))])


async def send(moments: Moments) -> None:
    async for sent in moments:
        await stamp(sent).dispatch()


async def work() -> None:
    driver = DriverFactory.create_from_config(config)
    await Worker(driver, concurrency=CONCURRENCY).start()


if __name__ == "__main__":
    main(enqueue, send, work)
