"""What a driver declares about its own configuration."""

from typing import ClassVar

from asynctasq.settings import Settings


class DriverSettings(Settings):
    """The settings of one driver, under flat names that start with the driver's own prefix.

    Attributes:
        url_field: the field that ``ASYNCTASQ_URL`` stands for.
        client_loggers: loggers of the client library, which a worker silences: the driver says
            itself what went wrong, and their details may hold credentials.
    """

    url_field: ClassVar[str | None] = None
    client_loggers: ClassVar[tuple[str, ...]] = ()

    def location(self) -> str:
        """Where this driver connects to, for people to read: no secrets."""
        return ""
