"""taskiq with RabbitMQ, through aio-pika."""

from common import CONCURRENCY, NAME, URL
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue
from taskiq_any import measure

measure(
    AioPikaBroker(
        URL,
        qos=CONCURRENCY,
        exchange=Exchange(name=NAME),
        task_queues=[Queue(name=NAME)],
        dead_letter_queue=Queue(name=f"{NAME}.dead_letter"),
    )
)
