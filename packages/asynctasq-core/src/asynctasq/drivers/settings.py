"""`DriverSettings`: the base class of each driver's own settings."""

from typing import ClassVar

from asynctasq.settings import Settings


class DriverSettings(Settings):
    """The settings of one driver, under flat names that start with the driver's own prefix.

    Attributes:
        url_field: the field that ``ASYNCTASQ_URL`` sets.
        client_loggers: loggers of the client library, which a worker silences: the driver's own
            errors are enough, and the library's may contain credentials.
    """

    url_field: ClassVar[str | None] = None
    client_loggers: ClassVar[tuple[str, ...]] = ()

    def location(self) -> str:
        """The server or file this driver connects to, for display: without secrets."""
        return ""
