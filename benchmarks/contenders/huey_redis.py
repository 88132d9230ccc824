"""Huey on Redis, which blocks until there is a task."""

from common import URL
from huey import RedisHuey
from huey_any import measure

measure(RedisHuey(url=URL, results=False))
