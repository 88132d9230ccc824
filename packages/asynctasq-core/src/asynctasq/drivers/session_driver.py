"""Connecting and disconnecting, for a driver that keeps a session with its broker."""

import asyncio
from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.drivers.settings import DriverSettings
from asynctasq.errors import BrokerUnavailable

#: Sockets, locks and futures belong to the event loop they were made on: used from another one,
#: they hang their callers, or bring down the interpreter.
WRONG_LOOP = (
    "this driver is connected on another event loop; use one driver for each event loop:"
    " driver.sibling() makes another one"
)


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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting = asyncio.Lock()

    @abstractmethod
    def make_session(self) -> SessionT:
        """A new session, not open yet."""

    async def connect(self) -> None:
        """Open a session; see `BaseDriver.connect`."""
        self._settle_on_loop()
        async with self._connecting:
            if self._session is None:
                self._session = await self._open()
                self._loop = asyncio.get_running_loop()

    async def disconnect(self) -> None:
        """Close the session; see `BaseDriver.disconnect`."""
        self._settle_on_loop()
        session, self._session, self._loop = self._session, None, None
        if session is not None:
            await session.close()

    @property
    def session(self) -> SessionT:
        """The open session.

        Raises `BrokerUnavailable` when there is none, and `RuntimeError` on another event loop
        than the one it was opened on.
        """
        if self._session is None:
            raise BrokerUnavailable("the driver is not connected; call connect() first")
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(WRONG_LOOP)
        return self._session

    async def _open(self) -> SessionT:
        session = self.make_session()
        try:
            await session.open()
        except BaseException:
            self._loop = None
            await session.close()
            raise
        return session

    def _settle_on_loop(self) -> None:
        """Belong to the running loop; raises `RuntimeError` while another one has the driver."""
        if self._loop is not None and self._loop.is_closed():
            # what was open ended with its loop
            self._session, self._loop, self._connecting = None, None, asyncio.Lock()
        running = asyncio.get_running_loop()
        if self._loop not in (None, running):
            raise RuntimeError(WRONG_LOOP)
        self._loop = running
