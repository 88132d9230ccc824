"""What lies between a connection's socket and its link: frames, each handed to whom it is for."""

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

#: Seconds after which aiormq hears that frames have come, which it takes for heartbeats.
ALIVE_EVERY = 1.0

_FRAME = Struct(">BHI")
_HEARTBEAT = marshal(Heartbeat(), 0)


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
        """Split what came into frames; what is none ends the connection."""
        if not self.opened:
            self._link.shake_hands(data)
            super().data_received(data)
            return
        try:
            self._split(data)
        except Exception:  # of whatever kind: what follows cannot be told apart any more
            logger.warning("RabbitMQ sent a frame that cannot be read", exc_info=True)
            self._link.abort("the broker sent a frame that cannot be read")
        else:
            self._report_alive()

    def _split(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
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
        self._rest = data[position:]

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


class Factory(TransportFactory):
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
