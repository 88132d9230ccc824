"""The Redis and Valkey driver of AsyncTasQ."""

from typing import TYPE_CHECKING

from asynctasq_redis.settings import RedisSettings

if TYPE_CHECKING:
    from asynctasq_redis.driver import RedisDriver

__all__ = ["RedisDriver", "RedisSettings"]


def __getattr__(name: str) -> object:
    # who only reads settings, as every command does of every driver, needs no client library
    if name == "RedisDriver":
        from asynctasq_redis.driver import RedisDriver

        return RedisDriver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
