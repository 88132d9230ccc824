"""Splits the bytes of a connection into frames, and passes each to its channel or to aiormq."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from struct import Struct
from typing import TYPE_CHECKING, Any

from aiormq.connection import TransportFactory
from pamqp.frame import marshal
from pamqp.heartbeat import Heartbeat
from yarl import URL

from asynctasq_rabbitmq.content import METHOD, OVERHEAD

if TYPE_CHECKING:
    from asynctasq_rabbitmq.link import Link

logger = logging.getLogger("asynctasq.rabbitmq")

#: Seconds between heartbeats passed to aiormq, in place of the frames that it does not see.
ALIVE_EVERY = 1.0

_FRAME = Struct(">BHI")
_HEARTBEAT = marshal(Heartbeat(), 0)


class Splitter(asyncio.StreamReaderProtocol):
    """Passes each frame to its channel, and those of channel 0 to the link or aiormq."""

    def __init__(self, reader: asyncio.StreamReader, link: Link) -> None:
        super().__init__(reader)
        self.opened = False
        self.writer: asyncio.StreamWriter | None = None
        self._link = link
        self._is_lost = False
        self._is_finished = False
        self._incomplete = b""
        self._alive = 0.0

    def data_received(self, data: bytes) -> None:
        """Split data into frames; malformed data drops the connection."""
        if not self.opened:
            self._link.handshake_received(data)
            super().data_received(data)
            return
        try:
            self._split(data)
        except Exception:  # of any kind: later frames cannot be separated any more
            logger.warning("RabbitMQ sent a malformed frame", exc_info=True)
            self._link.abort("the broker sent a malformed frame")
        else:
            self._report_alive()

    def _split(self, data: bytes) -> None:
        if self._incomplete:
            data = self._incomplete + data
        position, size = 0, len(data)
        while size - position >= OVERHEAD:
            kind, number, length = _FRAME.unpack_from(data, position)
            end = position + OVERHEAD + length
            if end > size:
                if length > self._link.frame_max:
                    raise ValueError(f"a frame of {length} bytes")
                break
            if number:
                channel = self._link.channels.get(number)
                if channel is not None:
                    channel.receive(kind, data, position + 7, end - 1)
            else:
                self._connection_frame(kind, data[position:end])
            position = end
        self._incomplete = data[position:]

    def eof_received(self) -> bool | None:
        """Let the transport close itself."""
        if not self.opened:
            return super().eof_received()
        self._link.end("the broker closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End the link, and the streams at once only if aiormq awaits the end.

        Otherwise aiormq would log a traceback: the link closes it first, then calls `finish`.
        """
        self._is_lost = True
        expected = not self.opened or self._link.closes
        if self.opened:
            self._link.end(str(exc or "the broker closed the connection"))
        if expected:
            self.finish()

    def finish(self) -> None:
        """Report the lost connection to the streams, once."""
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


class Factory(TransportFactory):
    """Creates aiormq's streams on top of a splitter."""

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
