"""The settings of the SQLite driver."""

from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import unquote

from pydantic import Field, field_validator

from asynctasq.drivers.settings import DriverSettings

SCHEME = "sqlite:"


class SQLiteSettings(DriverSettings):
    """Settings of the SQLite driver.

    Attributes:
        sqlite_path: the file, as a path or as ``sqlite:///relative.db``, ``sqlite:////abs.db``.
        sqlite_synchronous: ``full``: acknowledged messages survive a power cut;
            ``normal``: they survive the death of every process, and commits are cheaper.
        sqlite_busy_timeout: seconds to wait for other processes' transactions.
    """

    url_field: ClassVar[str | None] = "sqlite_path"
    sqlite_path: str = "asynctasq.db"
    # full: concurrent calls share one commit and one sync, so durability is cheap
    sqlite_synchronous: Literal["full", "normal"] = "full"
    sqlite_busy_timeout: float = Field(default=5.0, ge=0)

    @field_validator("sqlite_path")
    @classmethod
    def _as_path(cls, value: str) -> str:
        path = _path_of_url(value) if value.startswith(SCHEME) else value
        if path in ("", ":memory:"):
            raise ValueError("name a file; the driver 'memory' keeps messages without one")
        return path

    def file(self) -> Path:
        """The absolute path of the file."""
        return Path(self.sqlite_path).expanduser().absolute()

    def location(self) -> str:
        """The absolute path of the file."""
        return str(self.file())


def _path_of_url(url: str) -> str:
    authority, slash, path = url.removeprefix(SCHEME).removeprefix("//").partition("/")
    if authority or not slash:
        raise ValueError("write sqlite:///relative.db or sqlite:////absolute/path.db")
    if "?" in path:
        raise ValueError("a sqlite:// URL takes no query; use the sqlite_ settings")
    return unquote(path)
