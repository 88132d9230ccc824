"""A connection: aiormq's for the handshake, TLS and heartbeats, our own for messages.

aiormq wakes a task for every frame and starts one for every message, which costs more than the
task that is run. Here the frames of channel 0 go to it, and all others straight to their channel.
"""

import asyncio
import socket
import time
from contextlib import suppress
from struct import Struct
from typing import Any, cast

from aiormq.connection import Connection, TransportFactory
from aiormq.exceptions import AMQPError
from pamqp import commands
from pamqp.frame import marshal, unmarshal
from pamqp.heartbeat import Heartbeat
from yarl import URL

from asynctasq_rabbitmq.channel import Channel
from asynctasq_rabbitmq.content import METHOD, OVERHEAD
from asynctasq_rabbitmq.errors import LinkLost, connecting_failed

#: Seconds in which a broker must take a connection, and in which one must have closed.
CONNECT_LIMIT = 5.0
CLOSE_LIMIT = 5.0
#: Seconds that aiormq has to end its tasks after a connection was lost.
END_LIMIT = 0.1
#: Seconds after which aiormq hears that frames have come, which it takes for heartbeats.
ALIVE_EVERY = 1.0

_FRAME = Struct(">BHI")
_CONNECTION_CLOSE = b"\x00\x0a\x00\x32"
_BLOCKED = b"\x00\x0a\x00\x3c"
_UNBLOCKED = b"\x00\x0a\x00\x3d"
_HEARTBEAT = marshal(Heartbeat(), 0)


class Link:
    """One connection to the broker; it does not come back when it is lost.

    Attributes:
        blocked: why the broker takes no messages now, if it does not.
        unblocked: set when it takes some again, or the connection ends.
        version: the broker's, such as ``(3, 10)``.
        closes: the connection ends because we close it.
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
        self._splitter: Splitter | None = None
        self._connection = Connection(url.update_query(name=name), transport_factory=_Factory(self))
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, or raise an error of the seam within seconds."""
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await self._connection.__aenter__()
        except (AMQPError, OSError, TimeoutError) as error:
            await self.close()
            raise connecting_failed(error, self._refusal, self.location) from error
        except BaseException:
            await self.close()
            raise
        self.frame_max = self._connection.connection_tune.frame_max or self.frame_max
        version = str(self._connection.server_properties.get("version", ""))
        self.version = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        assert self._splitter is not None
        self._splitter.opened = True

    async def channel(self) -> Channel:
        """A new channel."""
        if self.lost is not None:
            raise self.lost
        number = 1
        while number in self.channels:
            number += 1
        channel = self.channels[number] = Channel(self, number)
        await channel.open()
        return channel

    def write(self, data: bytes) -> None:
        """Send whole frames."""
        if self.lost is not None or self._splitter is None or self._splitter.writer is None:
            raise self.lost or LinkLost("it was not opened")
        self._splitter.writer.write(data)

    async def drain(self) -> None:
        """Wait until the operating system has taken most of what was sent."""
        if self._splitter is not None and self._splitter.writer is not None:
            try:
                await self._splitter.writer.drain()
            except OSError as error:
                raise self.lost or LinkLost(str(error)) from error

    def shake_hands(self, data: bytes) -> None:
        """Take note of a refusal, whose reason aiormq does not tell."""
        if data[7:11] == _CONNECTION_CLOSE:
            closed = cast(commands.Connection.Close, unmarshal(data)[2])
            self._refusal = f"{closed.reply_code} {closed.reply_text}"

    def adopt(self, splitter: "Splitter") -> None:
        """Take the transport that was connected."""
        self._splitter = splitter

    def forget(self, number: int) -> None:
        """Let a channel's number be used again."""
        self.channels.pop(number, None)

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        self.end(reason)
        if self._splitter is not None and self._splitter.writer is not None:
            self._splitter.writer.transport.abort()

    async def close(self) -> None:
        """Close the connection."""
        self.closes = self.lost is None
        self.end("closed")
        if self._closing is not None:
            await asyncio.wait([self._closing], timeout=2 * CLOSE_LIMIT)

    def end(self, reason: str) -> None:
        """Tell everybody that it is over."""
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
        """Take a method of channel 0; whether it is also for aiormq."""
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
        closing = asyncio.create_task(self._connection.close())
        await asyncio.wait([closing], timeout=CLOSE_LIMIT if self.closes else END_LIMIT)
        if not closing.done():
            closing.cancel()
        with suppress(Exception, asyncio.CancelledError):  # aiormq's: it is over in any case
            await closing
        if self._splitter is not None and self._splitter.writer is not None:
            self._splitter.writer.transport.abort()
            self._splitter.finish()


class Splitter(asyncio.StreamReaderProtocol):
    """Hands each frame to whom it is for."""

    def __init__(self, reader: asyncio.StreamReader, link: Link) -> None:
        super().__init__(reader)
        self.opened = False
        self.writer: asyncio.StreamWriter | None = None
        self._link = link
        self._is_lost = False
        self._is_finished = False
        self._rest = b""
        self._alive = 0.0

    def data_received(self, data: bytes) -> None:
        """Split what came into frames."""
        if not self.opened:
            self._link.shake_hands(data)
            super().data_received(data)
            return
        if self._rest:
            data = self._rest + data
        position, size = 0, len(data)
        while size - position >= OVERHEAD:
            kind, number, length = _FRAME.unpack_from(data, position)
            end = position + OVERHEAD + length
            if end > size:
                break
            if number:
                channel = self._link.channels.get(number)
                if channel is not None:
                    channel.receive(kind, data, position + 7, end - 1)
            else:
                self._connection_frame(kind, data[position:end])
            position = end
        self._rest = data[position:]
        self._report_alive()

    def eof_received(self) -> bool | None:
        """Let the transport close itself."""
        if not self.opened:
            return super().eof_received()
        self._link.end("the broker hung up")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the link; and the streams at once only if aiormq awaits the end.

        Else it logs a traceback when it reads one: the link lets it `finish` first.
        """
        self._is_lost = True
        expected = not self.opened or self._link.closes
        if self.opened:
            self._link.end(str(exc or "the broker hung up"))
        if expected:
            self.finish()

    def finish(self) -> None:
        """Tell the streams that the connection was lost, once."""
        if self._is_lost and not self._is_finished:
            self._is_finished = True
            super().connection_lost(None)

    def _connection_frame(self, kind: int, frame: bytes) -> None:
        if kind != METHOD or self._link.connection_frame(frame[7:11], frame):
            super().data_received(frame)

    def _report_alive(self) -> None:
        now = time.monotonic()
        if now - self._alive > ALIVE_EVERY:
            self._alive = now
            super().data_received(_HEARTBEAT)


class _Factory(TransportFactory):
    """Makes aiormq's streams, with a splitter under them."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect."""
        tls = None
        if url.scheme == "amqps":
            tls = await kwargs["ssl_context_provider"].get_context()
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        splitter = Splitter(reader, self._link)
        host, port = url.host or "", url.port or 0
        transport, _ = await loop.create_connection(lambda: splitter, host, port, ssl=tls)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer = asyncio.StreamWriter(transport, splitter, reader, loop)
        splitter.writer = writer
        self._link.adopt(splitter)
        return reader, writer
