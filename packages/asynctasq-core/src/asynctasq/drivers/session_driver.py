"""Base class of drivers that keep a session with their broker: `connect` and `disconnect`."""

import asyncio
from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from asynctasq.drivers.base_driver import BaseDriver
from asynctasq.drivers.settings import DriverSettings
from asynctasq.errors import BrokerUnavailable

#: Sockets, locks and futures belong to the event loop they were made on: used from another loop,
#: they hang their callers, or crash the interpreter.
WRONG_LOOP = (
    "this driver is connected on another event loop; use one driver for each event loop:"
    " driver.sibling() makes another one"
)


class Session(Protocol):
    """The state of a connected driver: connections, and what depends on them.

    Opened once, and closed once, also when opening failed halfway.
    """

    async def open(self) -> None:
        """Connect; raises as `BaseDriver.connect` does."""
        ...

    async def close(self) -> None:
        """End all tasks and connections; never raises."""
        ...


SessionT = TypeVar("SessionT", bound=Session)


class SessionDriver(BaseDriver, Generic[SessionT]):
    """A driver that is connected while it has a session; listed before other base classes."""

    def __init__(self, settings: DriverSettings) -> None:
        super().__init__(settings)
        self._session: SessionT | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting = asyncio.Lock()

    @abstractmethod
    def make_session(self) -> SessionT:
        """Returns a new session, not open yet."""

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

        Raises `BrokerUnavailable` without a session, and `RuntimeError` on another event loop
        than the session was opened on.
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
        except BaseException:  # closed, and raised again
            self._loop = None
            await session.close()
            raise
        return session

    def _settle_on_loop(self) -> None:
        """Bind to the running loop; raises `RuntimeError` while bound to another open loop."""
        if self._loop is not None and self._loop.is_closed():
            # the session ended with its loop
            self._session, self._loop, self._connecting = None, None, asyncio.Lock()
        running = asyncio.get_running_loop()
        if self._loop not in (None, running):
            raise RuntimeError(WRONG_LOOP)
        self._loop = running
