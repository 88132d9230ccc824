"""Dramatiq with Redis."""

from common import URL
from dramatiq.brokers.redis import RedisBroker
from dramatiq_any import measure

measure(RedisBroker(url=URL))
