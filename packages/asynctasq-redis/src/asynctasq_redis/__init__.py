"""The Redis and Valkey driver of AsyncTasQ, and its emitter of events."""

from typing import TYPE_CHECKING

from asynctasq_redis.settings import RedisSettings

if TYPE_CHECKING:
    from asynctasq_redis.driver import RedisDriver
    from asynctasq_redis.emitter import RedisEmitter

__all__ = ["RedisDriver", "RedisEmitter", "RedisSettings"]


def __getattr__(name: str) -> object:
    # loaded lazily: reading settings, as every command does, needs no client library
    if name == "RedisDriver":
        from asynctasq_redis.driver import RedisDriver

        return RedisDriver
    if name == "RedisEmitter":
        from asynctasq_redis.emitter import RedisEmitter

        return RedisEmitter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
