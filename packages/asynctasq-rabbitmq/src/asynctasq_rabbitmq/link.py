"""One connection: aiormq does handshake, TLS and heartbeats, our own code handles messages.

aiormq wakes an asyncio task for every frame and starts one for every message, which costs more
than a short task itself. So only frames of channel 0 go to it, all others to their channel.
"""

import asyncio
from contextlib import suppress
from typing import cast

from aiormq.connection import Connection
from pamqp import commands
from pamqp.exceptions import PAMQPException
from pamqp.frame import marshal, unmarshal
from yarl import URL

from asynctasq.errors import BrokerRejected
from asynctasq_rabbitmq.channel import Channel
from asynctasq_rabbitmq.errors import LinkLost, connecting_failed
from asynctasq_rabbitmq.wire import Factory, Splitter

#: Seconds in which a connection must be established, and in which it must be closed.
CONNECT_LIMIT = 5.0
CLOSE_LIMIT = 1.5
#: Seconds for aiormq to end its tasks after a connection was lost, and after it was aborted.
END_LIMIT = 0.1
ABORT_LIMIT = 1.0

_CONNECTION_CLOSE = b"\x00\x0a\x00\x32"
_BLOCKED = b"\x00\x0a\x00\x3c"
_UNBLOCKED = b"\x00\x0a\x00\x3d"


class Link:
    """One connection to the broker; once lost, it is not reopened.

    Attributes:
        blocked: why the broker accepts no messages now (connection.blocked), else None.
        unblocked: set when it accepts messages again, or the connection ends.
        version: of the broker, such as ``(3, 10)``.
        closes: the driver is closing the connection.
    """

    def __init__(self, url: URL, location: str, name: str) -> None:
        self.location = location
        self.frame_max = 131072
        self.blocked: str | None = None
        self.version: tuple[int, ...] = ()
        self.unblocked = asyncio.Event()
        self.lost: LinkLost | None = None
        self.closes = False
        self.channels: dict[int, Channel] = {}
        self._refusal = ""
        self._max_channels = 65535
        self._splitter: Splitter | None = None
        self._url = url.update_query(name=name)
        self._connection: Connection | None = None
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, or raise a `BrokerError` within seconds."""
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await self._handshake()
        except asyncio.CancelledError:
            await self._drop()
            raise
        except Exception as error:  # aiormq raises anything for a malformed reply
            await self._drop()
            raise connecting_failed(error, self._refusal, self.location) from error

    async def _handshake(self) -> None:
        connection = Connection(self._url, transport_factory=Factory(self))
        self._connection = connection
        await connection.__aenter__()
        if self._splitter is None:
            raise OSError("the connection was lost at once")
        self.frame_max = connection.connection_tune.frame_max or self.frame_max
        self._max_channels = connection.connection_tune.channel_max or self._max_channels
        version = str(connection.server_properties.get("version", ""))
        self.version = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        self._splitter.opened = True

    async def channel(self) -> Channel:
        """Open a new channel."""
        if self.lost is not None:
            raise self.lost
        number = 1
        while number in self.channels:
            number += 1
        if number > self._max_channels:  # one more would end the connection
            raise BrokerRejected(
                f"RabbitMQ at {self.location} allows {self._max_channels} channels, one for each"
                " queue that is served; raise channel_max, or serve fewer queues in one worker"
            )
        channel = self.channels[number] = Channel(self, number)
        await channel.open()
        return channel

    def write(self, data: bytes) -> None:
        """Send complete frames."""
        if self.lost is not None or self._splitter is None or self._splitter.writer is None:
            raise self.lost or LinkLost("the connection was not opened")
        self._splitter.writer.write(data)

    async def drain(self) -> None:
        """Wait until the send buffer is below its limit."""
        if self._splitter is not None and self._splitter.writer is not None:
            try:
                await self._splitter.writer.drain()
            except OSError as error:
                raise self.lost or LinkLost(str(error)) from error

    def handshake_received(self, data: bytes) -> None:
        """Keep the reason of a refused connection, which aiormq drops."""
        if data[7:11] == _CONNECTION_CLOSE:
            with suppress(ValueError, PAMQPException):  # incomplete, or malformed
                closed = cast(commands.Connection.Close, unmarshal(data)[2])
                self._refusal = f"{closed.reply_code} {closed.reply_text}"

    def adopt(self, splitter: Splitter) -> None:
        """Set the splitter of the connected transport."""
        self._splitter = splitter

    def forget(self, number: int) -> None:
        """Free the number of a channel."""
        self.channels.pop(number, None)

    def abort(self, reason: str) -> None:
        """Drop the connection at once."""
        self.end(reason)
        if self._splitter is not None and self._splitter.writer is not None:
            self._splitter.writer.transport.abort()

    async def close(self) -> None:
        """Close the connection."""
        self.closes = self.lost is None
        await self._drop()

    async def _drop(self) -> None:
        self.end("closed")
        if self._closing is not None:
            await asyncio.wait([self._closing], timeout=CLOSE_LIMIT + ABORT_LIMIT)

    def end(self, reason: str) -> None:
        """Mark the connection as lost, and fail all its channels."""
        if self.lost is not None:
            return
        self.lost = LinkLost(reason)
        channels = list(self.channels.values())
        self.channels.clear()
        for channel in channels:
            channel.lost(self.lost)
        self.unblocked.set()
        self._closing = asyncio.create_task(self._close())

    def connection_frame(self, method: bytes, frame: bytes) -> bool:
        """Handle a method of channel 0; True if aiormq must handle it, too."""
        if method == _CONNECTION_CLOSE:
            closed = cast(commands.Connection.Close, unmarshal(frame)[2])
            self.write(marshal(commands.Connection.CloseOk(), 0))
            self.abort(f"{closed.reply_code} {closed.reply_text}".partition("\n")[0])
            return False
        if method == _BLOCKED:
            blocked = cast(commands.Connection.Blocked, unmarshal(frame)[2])
            self.blocked = blocked.reason or "an alarm"
            self.unblocked.clear()
            return False
        if method == _UNBLOCKED:
            self.blocked = None
            self.unblocked.set()
            return False
        return True

    async def _close(self) -> None:
        if self._connection is not None:
            closing = asyncio.create_task(self._connection.close())
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait([closing], timeout=CLOSE_LIMIT if self.closes else END_LIMIT)
            closing.cancel()
            await asyncio.wait([closing], timeout=ABORT_LIMIT)
        if self._splitter is not None and self._splitter.writer is not None:
            self._splitter.writer.transport.abort()
            self._splitter.finish()
