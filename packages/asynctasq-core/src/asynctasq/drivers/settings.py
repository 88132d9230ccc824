"""What a driver declares about its own configuration."""

from typing import ClassVar

from asynctasq.settings import Settings


class DriverSettings(Settings):
    """The settings of one driver, under flat names that start with the driver's own prefix.

    Attributes:
        url_field: the field that ``ASYNCTASQ_URL`` stands for.
    """

    url_field: ClassVar[str | None] = None

    def location(self) -> str:
        """Where this driver connects to, for people to read: no secrets."""
        return ""
