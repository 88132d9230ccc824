"""The Redis and Valkey driver of AsyncTasQ."""

from asynctasq_redis.driver import RedisDriver
from asynctasq_redis.settings import RedisSettings

__all__ = ["RedisDriver", "RedisSettings"]
