"""Dramatiq with RabbitMQ."""

from common import URL
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq_any import measure

measure(RabbitmqBroker(url=URL, confirm_delivery=True))
