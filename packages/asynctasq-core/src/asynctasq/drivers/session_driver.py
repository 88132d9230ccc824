"""Connecting and disconnecting, for a driver that keeps a session with its broker."""

import asyncio
from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.drivers.settings import DriverSettings
from asynctasq.errors import BrokerUnavailable


class Session(Protocol):
    """What a driver has of its broker while it is connected: connections, and what goes with them.

    It is opened once, and closed once, also when opening failed halfway.
    """

    async def open(self) -> None:
        """Connect; raises as `BaseDriver.connect` does."""
        ...

    async def close(self) -> None:
        """End everything that was started; never raises."""
        ...


SessionT = TypeVar("SessionT", bound=Session)


class SessionDriver(BaseDriver, Generic[SessionT]):
    """A driver that is connected while it has a session; list it before other base classes."""

    def __init__(self, settings: DriverSettings) -> None:
        super().__init__(settings)
        self._session: SessionT | None = None
        self._connecting = asyncio.Lock()

    @abstractmethod
    def make_session(self) -> SessionT:
        """A new session, not open yet."""

    async def connect(self) -> None:
        """Open a session; see `BaseDriver.connect`."""
        async with self._connecting:
            if self._session is None:
                session = self.make_session()
                try:
                    await session.open()
                except BaseException:
                    await session.close()
                    raise
                self._session = session

    async def disconnect(self) -> None:
        """Close the session; see `BaseDriver.disconnect`."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    @property
    def session(self) -> SessionT:
        """The open session; raises `BrokerUnavailable` when there is none."""
        if self._session is None:
            raise BrokerUnavailable("the driver is not connected; call connect() first")
        return self._session
