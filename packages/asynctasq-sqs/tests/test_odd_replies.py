"""Malformed replies, and settlements that are retried."""

from contextlib import suppress

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerError, BrokerUnavailable
from asynctasq_sqs.messages import read_all

pytestmark = pytest.mark.anyio

#: Replies of a server that is not SQS, or is broken.
ODD = {
    "null": None,
    "a list": [1, 2],
    "a text": "hello",
    "nothing": {},
    "odd lists": {"Messages": [{}], "Successful": [{}], "Failed": [{"Id": "x"}], "QueueUrls": 1},
    "odd fields": {"Messages": 7, "Successful": "x", "Failed": None, "QueueUrl": 3},
}


async def hold(driver, queue: str, count: int) -> list:
    await driver.enqueue([Message(str(number), queue, b"body") for number in range(count)])
    taken: list = []
    while len(taken) < count:
        taken += await driver.dequeue([queue], limit=count - len(taken), lease=60, wait=10)
    return taken


@pytest.mark.parametrize("odd", ODD)
async def test_a_malformed_reply_is_an_error_of_the_seam(
    proxied, proxy, driver_on, queue: str, odd: str
) -> None:
    (held,) = await hold(proxied, queue, 1)
    proxy.answer = lambda action, body: (200, ODD[odd])
    other = driver_on(sqs_endpoint_url=proxy.url)
    for call in (
        lambda: proxied.enqueue([Message("more", queue, b"")]),
        lambda: proxied.enqueue([Message("more", f"{queue}-other", b"")]),
        lambda: proxied.dequeue([queue], limit=1, lease=60, wait=0),
        lambda: proxied.settle([Settlement(held, Outcome.RETRY)]),
        lambda: proxied.extend([held], lease=60),
        lambda: proxied.queues(),
        other.connect,
    ):
        with suppress(BrokerError):  # and nothing else
            await call()
    await other.disconnect()
    proxy.answer = lambda action, body: None
    assert await proxied.settle([Settlement(held, Outcome.DONE)]) == []


async def test_a_reply_without_a_required_field_is_unavailable(proxied, proxy, queue) -> None:
    proxy.answer = lambda action, body: (200, {})
    with pytest.raises(BrokerUnavailable, match="QueueUrl"):
        await proxied.enqueue([Message("id", queue, b"")])


@pytest.mark.parametrize("outcome", Outcome)
async def test_applied_outcomes_stay_applied_while_others_fail(
    proxied, proxy, queue: str, outcome: Outcome
) -> None:
    held = await hold(proxied, queue, 2)
    (stuck,) = await hold(proxied, f"{queue}-stuck", 1)
    items = [Settlement(one, outcome, delay=60) for one in held]
    items.append(Settlement(stuck, Outcome.DONE))

    def answer(action: str, body):
        stands = "stuck" in body.get("QueueUrl", "") and action == "DeleteMessageBatch"
        return (500, {"__type": "InternalError", "message": "no"}) if stands else None

    proxy.answer = answer
    for number in range(3):
        with pytest.raises(BrokerUnavailable):
            await proxied.settle(items)
        if not number:
            proxy.calls.clear()
    assert {body["QueueUrl"].rpartition("-")[2] for _, body in proxy.calls} == {"stuck"}
    proxy.answer = lambda action, body: None
    assert await proxied.settle(items) == []
    assert await proxied.settle(items) == [*held, stuck]


@pytest.mark.parametrize(
    "text",
    [
        '{"asynctasq":' + "[" * 100_000,
        '{"asynctasq":1}',
        '{"asynctasq":1,"id":"a","attempts":1e999}',
        '{"asynctasq":1,"id":"a","delay":"soon"}',
        '{"asynctasq":[]}',
    ],
)
def test_a_text_that_looks_like_ours_is_a_body(text: str) -> None:
    message = {"MessageId": "theirs", "ReceiptHandle": "handle", "Body": text}
    (one,) = read_all({"Messages": [message]})
    assert (one.content.id, one.content.body) == ("theirs", text.encode())


async def test_a_disconnect_never_raises(driver_on, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = driver_on()
    await driver.connect()

    def failing(close):
        async def fail() -> None:
            await close()
            raise KeyError("planted")

        return fail

    stack, polls = driver.session.client._stack, driver.session.receiver
    monkeypatch.setattr(stack, "aclose", failing(stack.aclose))
    monkeypatch.setattr(polls, "close", failing(polls.close))
    await driver.disconnect()
