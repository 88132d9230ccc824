"""Celery with its prefork pool: two processes, whatever the concurrency, and the broker."""

import asyncio
import os
import struct
import time

import bodies
from billiard import active_children
from celery import Celery, Task
from celery.worker.request import Request
from common import CONCURRENCY, NAME, URL, Moments, main
from tally import tally

PROCESSES = 2  # with tasks that do nothing, 1 and 4 are no faster, 10 are slower
READ, WRITE = os.pipe()
DELAY = struct.Struct("d")

app = Celery(broker=URL)
app.conf.update(
    task_default_queue=NAME,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    broker_transport_options={"confirm_publish": True},
    worker_prefetch_multiplier=max(4, CONCURRENCY // PROCESSES),
    worker_enable_remote_control=False,  # it would leave an exchange behind
)


class Counted(Request):
    """Counts in the parent, where a task's success arrives and is acknowledged."""

    def acknowledge(self) -> None:
        super().acknowledge()
        if self.task.name == stamp.name:
            tally.delays.extend(DELAY.unpack(os.read(READ, DELAY.size)))
        tally.hit()


class CountedTask(Task):
    Request = Counted


@app.task(base=CountedTask)
def noop() -> None:
    if bodies.TASK == "nap":
        time.sleep(bodies.NAP)


@app.task(base=CountedTask)
def stamp(sent: float) -> None:
    os.write(WRITE, DELAY.pack(1000 * (time.monotonic() - sent)))


async def enqueue(count: int) -> None:
    for _ in range(count):  # it has no bulk call
        noop.delay()


async def send(moments: Moments) -> None:
    async for sent in moments:
        stamp.delay(sent)


async def work() -> None:
    tally.children = lambda: [one.pid for one in active_children()]
    worker = app.WorkController(
        concurrency=PROCESSES, without_mingle=True, without_gossip=True, without_heartbeat=True
    )
    await asyncio.to_thread(worker.start)


main(enqueue, send, work)
