"""Calls on a channel, and matching replies to calls."""

import asyncio

import pytest
from pamqp import commands
from pamqp.base import Frame
from pamqp.frame import marshal

from asynctasq_rabbitmq.channel import Channel
from asynctasq_rabbitmq.errors import ChannelClosed

pytestmark = pytest.mark.anyio


class Wire:
    """A transport that records written data."""

    frame_max = 4096

    def __init__(self) -> None:
        self.forgotten: list[int] = []

    def write(self, data: bytes) -> None:
        pass

    def forget(self, number: int) -> None:
        self.forgotten.append(number)

    def abort(self, reason: str) -> None:
        raise AssertionError(reason)


def reply(channel: Channel, frame: Frame) -> None:
    """Let the broker send a method."""
    data = marshal(frame, channel.number)
    channel.receive(data[0], data, 7, len(data) - 1)


async def test_a_reply_is_given_to_the_call_it_fits() -> None:
    """A quorum queue's reply to basic.cancel arrives after the reply to a later basic.qos."""
    channel = Channel(Wire(), 1)
    cancel = channel.send(commands.Basic.Cancel(consumer_tag="1"))
    first = channel.send(commands.Basic.Qos(prefetch_count=1))
    second = channel.send(commands.Basic.Qos(prefetch_count=1))
    reply(channel, commands.Basic.QosOk())
    assert (cancel.done(), first.done(), second.done()) == (False, True, False)
    reply(channel, commands.Basic.CancelOk(consumer_tag="1"))
    reply(channel, commands.Basic.QosOk())
    assert isinstance(await channel.answer(cancel), commands.Basic.CancelOk)
    assert isinstance(await channel.answer(second), commands.Basic.QosOk)


async def test_closing_waits_for_its_own_reply_and_ends_the_other_calls() -> None:
    wire = Wire()
    channel = Channel(wire, 3)
    declared = channel.send(commands.Queue.Declare(queue="q"))
    closing = asyncio.ensure_future(channel.close())
    await asyncio.sleep(0)
    assert isinstance(declared.exception(), ChannelClosed)
    assert not closing.done()
    reply(channel, commands.Channel.CloseOk())
    await closing
    assert wire.forgotten == [3]
