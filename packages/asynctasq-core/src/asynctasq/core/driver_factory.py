"""Creates the driver of a configuration."""

from asynctasq.config import Config
from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.drivers.registry import driver_class


class DriverFactory:
    """Creates drivers."""

    @staticmethod
    def create_from_config(config: Config) -> BaseDriver:
        """Returns the configured driver, unconnected.

        Raises:
            DriverNotFound: no installed package provides it.
            DriverIncompatible: its package does not load.
        """
        return driver_class(config.driver)(config.driver_settings)
