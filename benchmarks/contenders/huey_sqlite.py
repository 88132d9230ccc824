"""Huey on SQLite."""

from common import URL
from huey import SqliteHuey
from huey_any import measure

measure(SqliteHuey(filename=URL.removeprefix("sqlite:///"), results=False))
