"""taskiq with a Redis list."""

from common import URL
from taskiq_any import measure
from taskiq_redis import ListQueueBroker

measure(ListQueueBroker(url=URL))
