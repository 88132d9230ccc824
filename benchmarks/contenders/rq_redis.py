"""RQ, one task after the other in the worker's own process: no fork for each, its fastest way."""

import asyncio

import bodies
from common import URL, Moments, main
from redis import Redis
from rq import Queue, SimpleWorker
from rq.timeouts import TimerDeathPenalty

NO_RESULT = 0

queue = Queue(connection=Redis.from_url(URL))


class ThreadWorker(SimpleWorker):
    """Runs beside the event loop of the script, where there are no signals."""

    death_penalty_class = TimerDeathPenalty

    def _install_signal_handlers(self) -> None:
        pass


async def enqueue(count: int) -> None:
    for start in range(0, count, 1000):
        size = min(1000, count - start)
        jobs = [Queue.prepare_data(bodies.sync_noop, result_ttl=NO_RESULT) for _ in range(size)]
        queue.enqueue_many(jobs)


async def put() -> None:
    queue.enqueue(bodies.sync_noop, result_ttl=NO_RESULT)


async def send(moments: Moments) -> None:
    async for sent in moments:
        queue.enqueue(bodies.sync_stamp, sent, result_ttl=NO_RESULT)


async def work() -> None:
    worker = ThreadWorker([queue], connection=queue.connection)
    await asyncio.to_thread(worker.work, logging_level="WARNING")


main(enqueue, send, work, put=put)
