"""SAQ with Redis."""

from common import URL
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue
from saq_any import measure

# redis-py's own limit is 100 connections: at concurrency 100, acknowledgements would fail
measure(RedisQueue(Redis.from_url(URL, max_connections=1000)))
