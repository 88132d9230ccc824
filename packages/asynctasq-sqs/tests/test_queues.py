"""Missing queues, dead-letter queues, and messages of other programs."""

import asyncio
import json

import pytest

from asynctasq.drivers import Message, Outcome, Settlement, State
from asynctasq.errors import BrokerRejected

pytestmark = pytest.mark.anyio


async def put(driver, queue: str, *ids: str) -> None:
    await driver.enqueue([Message(one, queue, one.encode()) for one in ids])


async def take(driver, queue: str):
    (taken,) = await driver.dequeue([queue], limit=1, lease=60, wait=10)
    return taken


async def bury(driver, queue: str, name: str = "a") -> None:
    await put(driver, queue, name)
    held = await take(driver, queue)
    assert await driver.settle([Settlement(held, Outcome.DEAD, note="why")]) == []


async def call(driver, operation: str, **parameters):
    return await driver.session.client.call(operation, **parameters)


async def attributes(driver, queue: str) -> dict[str, str]:
    url = (await call(driver, "get_queue_url", QueueName=queue))["QueueUrl"]
    reply = await call(driver, "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
    return reply["Attributes"]


@pytest.fixture
async def careful(driver_on):
    """A driver that creates nothing."""
    one = driver_on(sqs_create_queues=False)
    await one.connect()
    yield one
    await one.disconnect()


async def test_a_queue_is_created_with_a_dead_letter_queue(driver, queue: str) -> None:
    await put(driver, queue, "a")
    own, dead = await attributes(driver, queue), await attributes(driver, f"{queue}-dead")
    policy = json.loads(own["RedrivePolicy"])
    assert policy == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 1000}
    assert own["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == "1209600"


@pytest.mark.parametrize("prefix", ["", "http://127.0.0.1:1/123456789012/"])
async def test_a_missing_queue_is_named_when_none_may_be_created(
    driver_on, queue: str, prefix: str
) -> None:
    driver = driver_on(sqs_create_queues=False, sqs_queue_url_prefix=prefix or None)
    await driver.connect()
    for wait in (0, 2):
        with pytest.raises(BrokerRejected, match=f"{queue} does not exist.*sqs_create_queues"):
            await driver.dequeue([queue], limit=1, lease=60, wait=wait)
    with pytest.raises(BrokerRejected, match=f"{queue} does not exist.*sqs_create_queues"):
        await put(driver, queue, "a")
    await driver.disconnect()


async def test_a_deleted_queue_is_created_again(driver, queue: str) -> None:
    await put(driver, queue, "a")
    held = await take(driver, queue)
    for name in (queue, f"{queue}-dead"):
        url = (await call(driver, "get_queue_url", QueueName=name))["QueueUrl"]
        await call(driver, "delete_queue", QueueUrl=url)
    assert await driver.extend([held], lease=60) == [held]
    assert await driver.settle([Settlement(held, Outcome.DONE)]) == [held]
    await bury(driver, queue, "b")
    assert [one.id for one in await driver.browse(queue, State.DEAD, limit=9)] == ["b"]


async def test_an_existing_queue_is_used_as_it_is(driver, careful, queue: str) -> None:
    await call(driver, "create_queue", QueueName=queue, Attributes={"DelaySeconds": "900"})
    await put(careful, queue, "a")
    held = await take(careful, queue)
    with pytest.raises(BrokerRejected, match=f"{queue}-dead does not exist.*sqs_create_queues"):
        await careful.settle([Settlement(held, Outcome.DEAD)])
    assert await careful.settle([Settlement(held, Outcome.RETRY)]) == []
    assert (await take(careful, queue)).attempt == 2


async def test_a_queue_without_a_dead_letter_queue_gets_one(driver, queue: str) -> None:
    await call(driver, "create_queue", QueueName=queue)
    await bury(driver, queue)
    own, dead = await attributes(driver, queue), await attributes(driver, f"{queue}-dead")
    assert json.loads(own["RedrivePolicy"])["deadLetterTargetArn"] == dead["QueueArn"]


async def test_the_dead_letter_queue_that_is_wired_is_used(driver, careful, queue: str) -> None:
    await call(driver, "create_queue", QueueName=f"{queue}-grave")
    grave = await attributes(driver, f"{queue}-grave")
    policy = {"deadLetterTargetArn": grave["QueueArn"], "maxReceiveCount": "7"}
    wired = {"RedrivePolicy": json.dumps(policy)}
    await call(driver, "create_queue", QueueName=queue, Attributes=wired)
    await bury(careful, queue)
    grave = await attributes(driver, f"{queue}-grave")
    assert grave["ApproximateNumberOfMessages"] == "1"
    for one in (driver, careful):
        (dead,) = await one.browse(queue, State.DEAD, limit=9)
        assert (dead.id, dead.note, dead.attempt) == ("a", "why", 1)
    assert [(one.queue, one.dead) for one in await driver.queues()] == [(queue, 1)]
    assert await careful.requeue(queue, ["a"]) == ["a"]
    assert (await take(careful, queue)).attempt == 1


async def test_a_message_that_sqs_moved_itself_is_dead(driver, queue: str) -> None:
    await call(driver, "create_queue", QueueName=f"{queue}-dead")
    dead = await attributes(driver, f"{queue}-dead")
    policy = {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": "1"}
    wired = {"RedrivePolicy": json.dumps(policy)}
    await call(driver, "create_queue", QueueName=queue, Attributes=wired)
    await put(driver, queue, "a")
    assert await driver.dequeue([queue], limit=1, lease=1, wait=10)
    await asyncio.sleep(1.5)
    assert await driver.dequeue([queue], limit=1, lease=60, wait=1) == []
    (found,) = await driver.find(queue, ["a"])
    assert (found.body, found.note) == (b"a", "")


@pytest.mark.parametrize(
    "text",
    [
        "text, naïve",
        '{"asynctasq":1}',
        '{"asynctasq":',
        '{"asynctasq":1,"id":"a","attempts":"many"}',
        '{"asynctasq":1,"id":"a","delay":Infinity}',
        '{"asynctasq":1,"id":"a","n":1e999}',
    ],
)
async def test_messages_of_other_programs_are_delivered_unchanged(
    driver, queue: str, text: str
) -> None:
    await put(driver, queue, "mine")
    await driver.settle([Settlement(await take(driver, queue), Outcome.DONE)])
    url = (await call(driver, "get_queue_url", QueueName=queue))["QueueUrl"]
    sent = await call(driver, "send_message", QueueUrl=url, MessageBody=text)
    taken = await take(driver, queue)
    assert (taken.id, taken.body, taken.attempt) == (sent["MessageId"], text.encode(), 1)
    await driver.settle([Settlement(taken, Outcome.RELEASE)])
    again = await take(driver, queue)
    assert (again.id, again.body, again.attempt) == (sent["MessageId"], text.encode(), 1)
    await driver.settle([Settlement(again, Outcome.DEAD)])
    (dead,) = await driver.browse(queue, State.DEAD, limit=9)
    assert (dead.id, dead.body) == (sent["MessageId"], text.encode())


async def test_a_body_that_is_too_long_is_refused_before_anything_is_sent(
    proxied, proxy, queue: str
) -> None:
    small, large = Message("small", queue, b""), Message("large", queue, bytes(1024 * 1024))
    with pytest.raises(BrokerRejected, match=r"message large has 1048576 bytes.* 1048576"):
        await proxied.enqueue([small, large])
    assert proxy.count() == 0


async def test_the_longest_body_can_die_with_some_of_its_note(driver, queue: str) -> None:
    body = bytes(driver.limits.max_body)
    await driver.enqueue([Message("long", queue, body)])
    held = await take(driver, queue)
    note = "naïve\n" * 1000
    assert await driver.settle([Settlement(held, Outcome.DEAD, note=note)]) == []
    (dead,) = await driver.browse(queue, State.DEAD, limit=9)
    assert dead.body == body
    assert dead.note
    assert note.startswith(dead.note)


async def test_several_large_messages_take_several_requests(proxied, proxy, queue: str) -> None:
    stored = [Message(f"{number}", queue, bytes(400_000)) for number in range(5)]
    await put(proxied, queue, "first")
    proxy.calls.clear()
    await proxied.enqueue(stored)
    assert proxy.count("SendMessageBatch") == 3
