"""The contract on the RabbitMQ that is there."""

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from asynctasq.drivers import BaseDriver, Inspector
from asynctasq.testing.contract import (
    DriverContract,
    InspectorContract,
    NewDriver,
    UnreachableContract,
)
from asynctasq.testing.ports import free_port
from asynctasq_rabbitmq import RabbitMQDriver, RabbitMQSettings
from asynctasq_rabbitmq.names import Names
from integration.rabbitmq_server import delete_ladder, delete_queues


@pytest.fixture(scope="module")
def namespace(rabbitmq_url: str) -> Iterator[str]:
    """An exchange name for this module alone; its shared queues are deleted at the end."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    asyncio.run(delete_ladder(rabbitmq_url, name))


@pytest.fixture
def queues_used(rabbitmq_url: str, namespace: str) -> Iterator[set[str]]:
    """Queues that the test has used, which are deleted then.

    A server with the usual limit of open files has room for a few hundred quorum queues.
    """
    used: set[str] = set()
    word = Names.word

    def recording(self: Names, queue: str) -> str:
        made = word(self, queue)  # raises for a name that is refused, and so never declared
        used.add(queue)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Names, "word", recording)
        yield used
    asyncio.run(delete_queues(rabbitmq_url, namespace, sorted(used)))


class TestRabbitMQ(DriverContract, InspectorContract):
    @pytest.fixture
    def new_driver(self, rabbitmq_url: str, namespace: str, queues_used: set[str]) -> NewDriver:
        settings = RabbitMQSettings(
            rabbitmq_url=SecretStr(rabbitmq_url), rabbitmq_exchange_name=namespace
        )
        return lambda: RabbitMQDriver(settings)

    @pytest.mark.xfail(reason="a queue does not tell how old its first message is", strict=True)
    async def test_the_oldest_ready_message_tells_its_age(
        self, driver: BaseDriver, inspector: Inspector, queue: str
    ) -> None:
        await super().test_the_oldest_ready_message_tells_its_age(driver, inspector, queue)


class TestNoRabbitMQ(UnreachableContract):
    @pytest.fixture
    def new_driver(self) -> NewDriver:
        settings = RabbitMQSettings(rabbitmq_url=SecretStr(f"amqp://127.0.0.1:{free_port()}"))
        return lambda: RabbitMQDriver(settings)
