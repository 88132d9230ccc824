"""An AMQP channel: calls and their replies, deliveries, returns and confirms."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pamqp import commands
from pamqp.base import Frame
from pamqp.frame import marshal, unmarshal

from asynctasq_rabbitmq.content import (
    BODY,
    HEADER,
    METHOD,
    Content,
    body_size,
    decode_properties,
)
from asynctasq_rabbitmq.errors import ChannelClosed, LinkLost

#: Seconds in which the broker must answer a call.
CALL_LIMIT = 15.0

_DELIVER = b"\x00\x3c\x00\x3c"
_CONFIRMED = b"\x00\x3c\x00\x50"
_REFUSED = b"\x00\x3c\x00\x78"

Reply = TypeVar("Reply", bound=Frame)
Answer = asyncio.Future[object]


class Transport(Protocol):
    """The part of a connection that a channel uses."""

    frame_max: int

    def write(self, data: bytes) -> None:
        """Send complete frames."""
        ...

    def forget(self, number: int) -> None:
        """Free the number of a channel."""
        ...

    def abort(self, reason: str) -> None:
        """Drop the connection at once."""
        ...


class Channel:
    """One channel of a connection.

    Attributes:
        on_delivery: called with consumer tag, delivery tag, the redelivered flag, and the message.
        on_return: called with exchange, routing key and the message, which no queue received.
        on_confirm: called with a delivery tag, the multiple flag, and True for ack, False for nack.
        on_cancel: called with the tag of a consumer whose queue was deleted.
        on_closed: called with the reason, once.
    """

    def __init__(self, transport: Transport, number: int) -> None:
        self.transport = transport
        self.number = number
        self.closed: ChannelClosed | LinkLost | None = None
        self.on_delivery: Callable[[str, int, bool, Content], None] = _ignore
        self.on_return: Callable[[str, str, Content], None] = _ignore
        self.on_confirm: Callable[[int, bool, bool], None] = _ignore
        self.on_cancel: Callable[[str], None] = _ignore
        self.on_closed: Callable[[ChannelClosed | LinkLost], None] = _ignore
        self._calls: list[tuple[Sequence[str], Answer]] = []
        self._receive: Callable[[Content], None] = _ignore
        self._missing = 0
        self._parts: list[bytes] = []
        self._header = b""

    async def open(self) -> None:
        """Open the channel at the broker."""
        await self.call(commands.Channel.Open(), commands.Channel.OpenOk)

    def write(self, data: bytes) -> None:
        """Send complete frames of this channel; raise the reason if it is closed."""
        if self.closed is not None:
            raise self.closed
        self.transport.write(data)

    async def call(self, frame: Frame, reply: type[Reply]) -> Reply:
        """Send a method and return its reply; calls may be pipelined.

        Raises `ChannelClosed` if the broker refuses the call, `LinkLost` if no reply arrives.
        """
        answer = await self.answer(self.send(frame))
        assert isinstance(answer, reply), answer
        return answer

    def send(self, frame: Frame) -> Answer:
        """Send a method now, and return the future of its reply, for `answer`."""
        self.write(marshal(frame, self.number))
        future: Answer = asyncio.get_running_loop().create_future()
        # retrieve the exception: the caller may no longer wait for it
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._calls.append((frame.valid_responses, future))
        return future

    async def answer(self, future: Answer) -> object:
        """Return the reply; after `CALL_LIMIT` seconds without one, drop the connection."""
        try:
            async with asyncio.timeout(CALL_LIMIT):
                return await asyncio.shield(future)
        except TimeoutError:
            self.transport.abort("no answer in time")
            raise LinkLost("no answer in time") from None

    async def close(self) -> None:
        """Close the channel; the broker requeues its unacknowledged messages."""
        if self.closed is None:
            frame = commands.Channel.Close(200, "", 0, 0)
            future = self.send(frame)
            self._end(ChannelClosed(200, "closed"), keep=future)
            try:
                await self.answer(future)
            except LinkLost:
                return
            self.transport.forget(self.number)

    def receive(self, kind: int, data: bytes, start: int, end: int) -> None:
        """Handle a frame whose payload is ``data[start:end]``."""
        if kind == METHOD:
            method = data[start : start + 4]
            if method == _DELIVER:
                self._deliver(data, start + 4)
            elif method in (_CONFIRMED, _REFUSED):
                tag = int.from_bytes(data[start + 4 : start + 12], "big")
                self.on_confirm(tag, bool(data[start + 12] & 1), method == _CONFIRMED)
            else:
                self._method(unmarshal(data[start - 7 : end + 1])[2])
        elif kind == HEADER:
            self._header = data[start:end]
            self._missing = body_size(data, start)
            if not self._missing:
                self._complete()
        elif kind == BODY:
            self._parts.append(data[start:end])
            self._missing -= end - start
            if not self._missing:
                self._complete()

    def lost(self, reason: LinkLost) -> None:
        """Fail pending calls: the connection has ended."""
        self._end(reason)

    def _deliver(self, data: bytes, position: int) -> None:
        end = position + 1 + data[position]
        consumer = data[position + 1 : end].decode()
        tag = int.from_bytes(data[end : end + 8], "big")
        redelivered = bool(data[end + 8] & 1)
        self._receive = lambda content: self.on_delivery(consumer, tag, redelivered, content)

    def _complete(self) -> None:
        message_id, headers = decode_properties(self._header)
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        receive, self._receive = self._receive, _ignore
        receive(Content(message_id, body, headers))

    def _method(self, frame: object) -> None:
        if isinstance(frame, commands.Basic.GetOk):
            tag = frame.delivery_tag or 0
            self._receive = lambda content: self._answered(frame.name, (tag, content))
        elif isinstance(frame, commands.Basic.Return):
            exchange, key = frame.exchange or "", frame.routing_key or ""
            self._receive = lambda content: self.on_return(exchange, key, content)
        elif isinstance(frame, commands.Basic.Cancel):
            self.on_cancel(frame.consumer_tag or "")
        elif isinstance(frame, commands.Channel.Close):
            self.transport.write(marshal(commands.Channel.CloseOk(), self.number))
            self.transport.forget(self.number)
            self._end(ChannelClosed(frame.reply_code or 0, frame.reply_text or ""))
        else:
            self._answered(getattr(frame, "name", ""), frame)

    def _answered(self, name: str, answer: object) -> None:
        """Resolve the first pending call that accepts this reply.

        That may not be the oldest call: a quorum queue replies to basic.consume and basic.cancel
        through the channel's mailbox, so replies to later calls may arrive first.
        """
        for number, (replies, future) in enumerate(self._calls):
            if name in replies:
                del self._calls[number]
                if not future.done():
                    future.set_result(answer)
                return

    def _end(self, reason: ChannelClosed | LinkLost, keep: Answer | None = None) -> None:
        if self.closed is None:
            self.closed = reason
            self.on_closed(reason)
        calls = self._calls
        self._calls = [call for call in calls if call[1] is keep]
        for _, future in calls:
            if future is not keep and not future.done():
                future.set_exception(reason)


def _ignore(*_: object) -> None:
    """Stand in for a callback that is not set."""
