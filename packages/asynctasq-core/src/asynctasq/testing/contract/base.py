"""The base of the contract classes: drivers, fresh names, and steps that wait with a limit."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import ClassVar
from uuid import uuid4

import pytest

from asynctasq.drivers import (
    BaseDriver,
    Delivery,
    Message,
    Outcome,
    Settlement,
    StoredMessage,
)

#: Makes an unconnected driver; the drivers of one function share their messages.
NewDriver = Callable[[], BaseDriver]
#: The same, connected; the suite disconnects it.
ConnectDriver = Callable[[], Awaitable[BaseDriver]]

#: A lease no test outlives.
LONG = 120.0


class Contract:
    """The base of all contract classes: override `new_driver`, and nothing else.

    Attributes:
        patience: seconds to wait for an effect. Only a failing test waits that long.
        large: the number of messages in a large batch: above the limits of any broker's calls.
    """

    pytestmark = pytest.mark.anyio
    patience: ClassVar[float] = 10.0
    large: ClassVar[int] = 1500

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Drivers run on asyncio."""
        return "asyncio"

    @pytest.fixture
    def new_driver(self) -> NewDriver:
        """A function that makes an unconnected driver; override it."""
        pytest.fail("override the fixture new_driver: it returns a function that makes a driver")

    @pytest.fixture
    async def connect_driver(self, new_driver: NewDriver) -> AsyncIterator[ConnectDriver]:
        """A function that makes another connected driver with the same messages."""
        async with AsyncExitStack() as stack:

            async def connect() -> BaseDriver:
                driver = new_driver()
                stack.push_async_callback(driver.disconnect)
                await driver.connect()
                return driver

            yield connect

    @pytest.fixture
    async def driver(self, connect_driver: ConnectDriver) -> BaseDriver:
        """A connected driver."""
        return await connect_driver()

    @pytest.fixture
    async def other_driver(self, connect_driver: ConnectDriver) -> BaseDriver:
        """A second connected driver, as in another process."""
        return await connect_driver()

    @pytest.fixture
    def queue(self) -> str:
        """The name of an unused queue."""
        return fresh("queue")

    @pytest.fixture
    def other_queue(self) -> str:
        """The name of another unused queue."""
        return fresh("queue")

    @pytest.fixture
    def refused_queue(self) -> str:
        """A queue from which a dequeue fails; override it if the broker has another kind."""
        return f"refused\0{'x' * 5000}"

    @pytest.fixture
    def short_lease(self, driver: BaseDriver) -> float:
        """A lease that tests can wait for."""
        return max(0.2, driver.limits.lease_step)

    async def drain(
        self, driver: BaseDriver, *queues: str, count: int = 1, lease: float = LONG
    ) -> list[Delivery]:
        """Dequeue until there are `count` deliveries; fail if they do not arrive."""
        taken: list[Delivery] = []
        deadline = time.monotonic() + self.patience
        while len(taken) < count and (left := deadline - time.monotonic()) > 0:
            taken += await driver.dequeue(queues, limit=count - len(taken), lease=lease, wait=left)
        assert len(taken) == count, f"{len(taken)} deliveries came, {count} were expected"
        return taken

    async def take(self, driver: BaseDriver, queue: str, *, lease: float = LONG) -> Delivery:
        """Dequeue one message; fail if none arrives."""
        return (await self.drain(driver, queue, lease=lease))[0]

    async def hold(
        self, driver: BaseDriver, queue: str, *, count: int = 1, lease: float = LONG
    ) -> list[Delivery]:
        """Enqueue `count` messages and take them all."""
        await driver.enqueue(messages(queue, count))
        return await self.drain(driver, queue, count=count, lease=lease)

    async def lose(self, driver: BaseDriver, queue: str, *, lease: float) -> list[Delivery]:
        """Enqueue a message and take it twice: the first of the two deliveries lost its lease."""
        (lost,) = await self.hold(driver, queue, lease=lease)
        return [lost, await self.take(driver, queue)]

    async def nothing_comes(self, driver: BaseDriver, *queues: str, within: float = 0.0) -> None:
        """Fail if a message of `queues` is delivered within `within` seconds."""
        taken = await driver.dequeue(queues, limit=10, lease=LONG, wait=within)
        assert list(taken) == []

    def prompt(self, started: float) -> bool:
        """Whether so little time has passed since `started` that a wake-up was the cause."""
        return time.monotonic() - started < self.patience / 3


def fresh(kind: str) -> str:
    """Return an unused name."""
    return f"{kind}-{uuid4().hex}"


def message(queue: str, body: bytes = b"body", *, delay: float = 0.0) -> Message:
    """Return a message with a fresh id."""
    return Message(fresh("message"), queue, body, delay)


def messages(queue: str, count: int) -> list[Message]:
    """Return `count` messages, with their numbers as bodies."""
    return [message(queue, str(number).encode()) for number in range(count)]


def settlements(
    deliveries: Sequence[Delivery], outcome: Outcome, *, delay: float = 0.0, note: str = ""
) -> list[Settlement]:
    """Return a settlement with the same outcome for each delivery."""
    return [Settlement(delivery, outcome, delay, note) for delivery in deliveries]


def ids(items: Sequence[Delivery | Message | StoredMessage]) -> list[str]:
    """Return the ids in the order of `items`."""
    return [item.id for item in items]


def needs(driver: BaseDriver, fact: str) -> None:
    """Expect the test to fail if the driver's `Limits` exclude `fact`."""
    if not getattr(driver.limits, fact):
        pytest.xfail(f"Limits.{fact} is False")
