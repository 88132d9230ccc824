"""taskiq with Redis streams."""

from common import URL
from taskiq_any import measure
from taskiq_redis import RedisStreamBroker

measure(RedisStreamBroker(url=URL))
