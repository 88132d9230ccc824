"""Calls that must not hang, and exceptions that must not leave the driver."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager

import pytest

from asynctasq.drivers import Delivery, Message, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable
from asynctasq_rabbitmq import RabbitMQDriver, thread
from asynctasq_rabbitmq.content import LONGEST_ID

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

#: Starts a driver without a free file descriptor, and prints the error.
NO_DESCRIPTORS = """
import asyncio, os, resource, sys
from asynctasq.errors import BrokerUnavailable
from asynctasq_rabbitmq import RabbitMQDriver

async def main():
    driver = RabbitMQDriver()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    try:
        while True:
            os.dup(0)
    except OSError:
        pass
    try:
        await driver.connect()
    except BrokerUnavailable as error:
        print(error)
    await driver.disconnect()

asyncio.run(main())
"""


@asynccontextmanager
async def connected(settings):
    driver = RabbitMQDriver(settings)
    await driver.connect()
    yield driver
    await driver.disconnect()


@asynccontextmanager
async def answering(data: bytes, *, hangs_up: bool):
    """Return the port of a server that sends `data` on each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if not hangs_up:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def threads() -> set[str]:
    return {one.name for one in threading.enumerate() if "rabbitmq" in one.name}


def test_without_a_file_descriptor_connecting_fails_at_once() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", NO_DESCRIPTORS],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert "cannot start the RabbitMQ driver's thread: [Errno 24]" in ran.stdout
    assert len(ran.stdout.splitlines()) == 1
    assert ran.returncode == 0


async def test_a_thread_without_a_loop_is_no_thread(settings, monkeypatch) -> None:
    def no_loop() -> asyncio.AbstractEventLoop:
        raise OSError(24, "too many open files")

    before = threads()
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.events, "new_event_loop", no_loop)
        with pytest.raises(BrokerUnavailable, match="too many open files"):
            await RabbitMQDriver(settings).connect()
    assert threads() == before


async def test_a_thread_that_does_not_start_is_given_up(settings, monkeypatch) -> None:
    released = threading.Event()
    make = asyncio.events.new_event_loop

    def late_loop() -> asyncio.AbstractEventLoop:
        released.wait(30)
        return make()

    before = threads()
    monkeypatch.setattr(thread, "START_LIMIT", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.events, "new_event_loop", late_loop)
        with pytest.raises(BrokerUnavailable, match="no event loop within"):
            await RabbitMQDriver(settings).connect()
        released.set()
    async with asyncio.timeout(20):
        while threads() - before:
            await asyncio.sleep(0.01)


async def test_a_silent_broker_holds_up_no_disconnect(proxy, driver_on, caplog) -> None:
    driver = driver_on(proxy.url)
    await driver.connect()
    await driver.enqueue([Message(str(number), "silent", b"") for number in range(9)])
    assert await driver.dequeue(["silent"], limit=1, lease=60, wait=10)
    await driver.dequeue(["silent-too"], limit=5, lease=60, wait=0)
    calls = [
        asyncio.ensure_future(driver.dequeue(["silent", "third"], limit=9, lease=60, wait=60)),
        asyncio.ensure_future(driver.enqueue([Message("more", "silent", b"")])),
    ]
    proxy.mute = True
    started = time.monotonic()
    await driver.disconnect()
    assert time.monotonic() - started < 7
    async with asyncio.timeout(5):
        results = await asyncio.gather(*calls, return_exceptions=True)
    proxy.mute = False
    assert not [one for one in results if isinstance(one, BaseException)
                and not isinstance(one, BrokerError)]  # fmt: skip
    assert not [one for one in caplog.records if one.levelno > logging.WARNING]


async def test_a_disconnect_never_raises(settings, monkeypatch) -> None:
    driver = RabbitMQDriver(settings)
    await driver.connect()

    async def fail() -> None:
        raise KeyError("planted")

    monkeypatch.setattr(driver._session._connections, "close", fail)
    await driver.disconnect()
    assert driver._session is None


@pytest.mark.parametrize("hangs_up", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"AMQP\x00\x00\x09\x01",
        b"\x01\x00\x00\x00\x00\x00\x05\x00\x0a\x00\x0aX\xce",  # a truncated connection.start
        b"\x01\x00\x00\x00\x00\x00\x06\x00\x0a\x00\x32\x01\xff\xce",  # connection.close likewise
        b"\x09" * 64,
        b"",
    ],
)
async def test_what_is_no_broker_is_an_error_of_the_seam(driver_on, data, hangs_up) -> None:
    async with answering(data, hangs_up=hangs_up) as port:
        driver = driver_on(f"amqp://guest:secret@127.0.0.1:{port}/")
        started = time.monotonic()
        with pytest.raises(BrokerError) as caught:
            await driver.connect()
        assert time.monotonic() - started < 10
        await driver.disconnect()
    assert "secret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "amqp://guest:secret@" + "x" * 70 + ".invalid/",
        "amqps://guest:secret@127.0.0.1:1/?cafile=/nowhere",
        "amqps://guest:secret@127.0.0.1:1/?cadata=***",
        "amqp://guest:secret@127.0.0.1:1/?auth=none",
    ],
)
async def test_an_impossible_url_is_an_error_of_the_seam(driver_on, url: str) -> None:
    with pytest.raises(BrokerError) as caught:
        await driver_on(url).connect()
    assert "secret" not in str(caught.value)


async def test_a_malformed_frame_ends_the_connection_and_not_the_driver(settings) -> None:
    async with connected(settings) as driver:
        await driver.enqueue([Message("id", "frames", b"")])
        (held,) = await driver.dequeue(["frames"], limit=1, lease=60, wait=10)
        for junk in (
            b"\x01\x00\x01\x00\x00\x00\x06\x00\x3c\x00\x3c\xff\x00\xce",  # a truncated delivery
            b"\x02\x00\x01\x00\x00\x00\x01\x00\xce",  # a truncated header
            b"\x01\x00\x01\x7f\xff\xff\xff" + b"x" * 64,  # a frame of two gigabytes
        ):

            async def receive(junk: bytes = junk) -> None:
                link = driver._session._connections._publisher[-1]
                link._splitter.data_received(junk)

            await driver._session.run(receive)
            async with asyncio.timeout(20):
                while True:
                    try:
                        await driver.enqueue([Message("more", "frames", b"")])
                        break
                    except BrokerUnavailable:
                        await asyncio.sleep(0.02)
        assert list(await driver.settle([Settlement(held, Outcome.DONE)])) == []


async def test_impossible_names_are_refused_one_by_one(settings) -> None:
    async with connected(settings) as driver:
        for odd in ("\ud800", "x" * (LONGEST_ID + 1)):
            with pytest.raises(BrokerRejected, match="the id"):
                await driver.enqueue([Message(odd, "names", b"")])
        await driver.enqueue([Message("id", "na\ud800me", b"")])
        (held,) = await driver.dequeue(["na\ud800me"], limit=1, lease=60, wait=10)
        note = "\udc80 is no text"
        assert list(await driver.settle([Settlement(held, Outcome.DEAD, note=note)])) == []
        (dead,) = await driver.find("na\ud800me", ["id"])
        assert dead.note == "? is no text"
        foreign = Delivery("id", "names", b"", 1, object())
        for call in (driver.settle([Settlement(foreign, Outcome.DONE)]),
                     driver.extend([foreign], lease=5)):  # fmt: skip
            with pytest.raises(BrokerRejected, match="not delivered by this process"):
                await call


async def test_more_queues_than_channels_are_refused_with_the_remedy(settings) -> None:
    async with connected(settings) as driver:
        await driver.dequeue(["first"], limit=1, lease=60, wait=0)
        _, link = await driver._session.run(driver._session.consuming)
        link._max_channels = len(link.channels)
        with pytest.raises(BrokerRejected, match="raise channel_max"):
            await driver.dequeue(["second"], limit=1, lease=60, wait=0)
        await driver.enqueue([Message("id", "first", b"")])
        assert len(await driver.dequeue(["first"], limit=1, lease=60, wait=10)) == 1
