"""SQS refuses, is slow, or applies a part of a batch."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from asynctasq.drivers import Message, Outcome, Settlement
from asynctasq.errors import BrokerRejected, BrokerUnavailable, EnqueueFailed
from asynctasq_sqs import client

pytestmark = pytest.mark.anyio

CREDENTIALS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_REGION", "AWS_DEFAULT_REGION"),
)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """An environment without any AWS configuration."""
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def messages(queue: str, count: int) -> list[Message]:
    return [Message(f"{number}", queue, b"body") for number in range(count)]


async def hold(driver, queue: str, count: int):
    await driver.enqueue(messages(queue, count))
    return await driver.dequeue([queue], limit=count, lease=60, wait=10)


def fail_entries(proxy, action: str, ids: set[str], *, code: str, fault: bool, times: int) -> None:
    """Let entries fail the given number of times; the rest of such a batch is not forwarded."""
    left = times

    def answer(asked: str, body):
        nonlocal left
        if asked != action or not left:
            return None
        left -= 1
        entries = [entry["Id"] for entry in body["Entries"]]
        failed = [{"Id": one, "Code": code, "SenderFault": fault} for one in entries if one in ids]
        return 200, {"Successful": [{"Id": one} for one in entries if one not in ids],
                     "Failed": failed}  # fmt: skip

    proxy.answer = answer


async def connect_fails(driver, kind: type[Exception]) -> str:
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        await driver.connect()
    assert time.monotonic() - started < 10
    await driver.disconnect()
    text = str(caught.value)
    assert "\n" not in text
    assert "testing" not in text
    return text


async def test_no_region(bare, driver_on) -> None:
    text = await connect_fails(driver_on(sqs_region=None), BrokerRejected)
    assert "sqs_region" in text


async def test_no_credentials(bare, driver_on) -> None:
    driver = driver_on(aws_access_key_id=None, aws_secret_access_key=None)
    assert "aws_access_key_id" in await connect_fails(driver, BrokerRejected)


async def test_credentials_of_the_environment(
    bare, driver_on, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    driver = driver_on(sqs_region=None, aws_access_key_id=None, aws_secret_access_key=None)
    await driver.connect()
    await driver.disconnect()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("ExpiredToken", "expired"),
        ("InvalidClientTokenId", "aws_access_key_id"),
        ("SignatureDoesNotMatch", "aws_secret_access_key"),
    ],
)
async def test_credentials_that_are_refused(proxy, driver_on, code: str, says: str) -> None:
    proxy.refuse("ListQueues", code, status=403)
    text = await connect_fails(driver_on(sqs_endpoint_url=proxy.url), BrokerRejected)
    assert says in text


async def test_queues_can_be_used_without_the_permission_to_list_them(
    proxy, driver_on, queue: str
) -> None:
    proxy.refuse("ListQueues", "AccessDeniedException", status=403)
    driver = driver_on(sqs_endpoint_url=proxy.url)
    await driver.connect()
    assert len(await hold(driver, queue, 1)) == 1
    with pytest.raises(BrokerRejected, match="sqs:ListQueues"):
        await driver.queues()
    await driver.disconnect()


async def test_connecting_to_a_silent_host_times_out(
    driver_on, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CONNECT_LIMIT", 1.0)
    async with silent() as url:
        text = await connect_fails(driver_on(sqs_endpoint_url=url), BrokerUnavailable)
    assert "no answer in time" in text


@asynccontextmanager
async def silent():
    """The URL of a server that accepts connections and never replies."""
    handlers = set()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        await asyncio.gather(*handlers)


async def test_a_call_before_connect_is_an_error(driver_on) -> None:
    with pytest.raises(BrokerUnavailable, match="connect"):
        await driver_on().dequeue(["queue"], limit=1, lease=1, wait=0)


async def test_a_missing_permission_is_named(proxied, proxy, queue: str) -> None:
    proxy.refuse("CreateQueue", "AccessDeniedException", "not authorized", status=403)
    with pytest.raises(BrokerRejected, match="sqs:CreateQueue"):
        await proxied.enqueue(messages(queue, 1))


async def test_credentials_that_expire_lose_nothing(proxied, proxy, queue: str) -> None:
    held = await hold(proxied, queue, 2)
    for action, work in {
        "SendMessageBatch": lambda: proxied.enqueue(messages(queue, 1)),
        "ReceiveMessage": lambda: proxied.dequeue([queue], limit=1, lease=60, wait=1),
        "DeleteMessageBatch": lambda: proxied.settle([Settlement(held[0], Outcome.DONE)]),
        "ChangeMessageVisibilityBatch": lambda: proxied.extend(held, lease=60),
    }.items():
        proxy.refuse(action, "ExpiredTokenException", status=403)
        with pytest.raises(BrokerRejected, match="expired"):
            await work()
    proxy.answer = lambda action, body: None
    assert await proxied.settle([Settlement(one, Outcome.DONE) for one in held]) == []


async def test_brief_throttling_is_retried(proxied, proxy, queue: str) -> None:
    await hold(proxied, queue, 1)
    answers = iter([(400, {"__type": "com.amazonaws.sqs#ThrottlingException", "message": "slow"})])
    proxy.answer = lambda action, body: next(answers, None)
    await proxied.enqueue(messages(queue, 1))
    assert len(await proxied.dequeue([queue], limit=1, lease=60, wait=5)) == 1


@pytest.mark.parametrize("code", ["ThrottlingException", "RequestThrottled", "ServiceUnavailable"])
async def test_lasting_throttling_is_unavailable(proxied, proxy, queue: str, code: str) -> None:
    (held,) = await hold(proxied, queue, 1)
    error = {"__type": f"com.amazonaws.sqs#{code}", "message": "slow"}
    proxy.answer = lambda action, body: (503 if code == "ServiceUnavailable" else 400, error)
    with pytest.raises(BrokerUnavailable, match=code):
        await proxied.settle([Settlement(held, Outcome.DONE)])
    with pytest.raises(BrokerUnavailable, match=code):
        await proxied.enqueue(messages(queue, 1))
    proxy.answer = lambda action, body: None
    assert await proxied.settle([Settlement(held, Outcome.DONE)]) == []


async def test_entries_that_fail_are_sent_again(proxied, proxy, queue: str) -> None:
    await hold(proxied, queue, 1)
    fail_entries(proxy, "SendMessageBatch", {*"0123"}, code="InternalError", fault=False, times=2)
    await proxied.enqueue(messages(queue, 4))
    taken = []
    while len(taken) < 4:
        taken += await proxied.dequeue([queue], limit=4, lease=60, wait=5)
    assert sorted(one.id for one in taken) == [*"0123"]


async def test_refused_entries_are_named(proxied, proxy, queue: str) -> None:
    await hold(proxied, queue, 1)
    fail_entries(proxy, "SendMessageBatch", {"1"}, code="InvalidMessageContents", fault=True,
                 times=1)  # fmt: skip
    with pytest.raises(EnqueueFailed, match="InvalidMessageContents") as caught:
        await proxied.enqueue(messages(queue, 3))
    assert caught.value.accepted == ("0", "2")
    assert caught.value.rejected == ("1",)


@pytest.mark.parametrize("outcome", Outcome)
async def test_a_failed_outcome_is_applied_by_the_next_settle(
    proxied, proxy, queue: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await hold(proxied, queue, 3)
    settlements = [Settlement(one, outcome, delay=60) for one in held]
    action = "DeleteMessageBatch" if outcome is Outcome.DONE else "SendMessageBatch"
    fail_entries(proxy, action, {"1"}, code="InternalError", fault=False, times=9)
    with pytest.raises(BrokerUnavailable):
        await proxied.settle(settlements)
    proxy.answer = lambda asked, body: None
    assert await proxied.settle(settlements) == []
    assert await proxied.settle(settlements) == held


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.RELEASE, Outcome.DEAD])
async def test_a_stored_copy_is_not_sent_again(
    proxied, proxy, queue: str, outcome: Outcome
) -> None:
    held = await hold(proxied, queue, 2)
    settlements = [Settlement(one, outcome) for one in held]
    proxy.refuse("DeleteMessageBatch", "InternalError", status=500)
    with pytest.raises(BrokerUnavailable):
        await proxied.settle(settlements)
    proxy.answer = lambda asked, body: None
    proxy.calls.clear()
    assert await proxied.settle(settlements) == []
    assert proxy.count("SendMessageBatch") == 0
    assert proxy.count("DeleteMessageBatch") == 1


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "InvalidParameterValue"])
async def test_a_refused_receipt_is_a_lost_lease(proxied, proxy, queue: str, code: str) -> None:
    held = await hold(proxied, queue, 3)
    fail_entries(proxy, "ChangeMessageVisibilityBatch", {"0"}, code=code, fault=True, times=1)
    assert await proxied.extend(held, lease=60) == held[:1]
    fail_entries(proxy, "DeleteMessageBatch", {"0"}, code=code, fault=True, times=1)
    assert await proxied.settle([Settlement(one, Outcome.DONE) for one in held]) == held[:2]


async def test_the_error_of_a_poll_is_raised_by_the_waiting_dequeue(
    proxied, proxy, queue: str
) -> None:
    await hold(proxied, queue, 1)
    proxy.refuse("ReceiveMessage", "InternalError", status=500)
    with pytest.raises(BrokerUnavailable):
        await proxied.dequeue([queue], limit=1, lease=60, wait=20)
    proxy.answer = lambda action, body: None
    await proxied.enqueue(messages(queue, 1))
    assert len(await proxied.dequeue([queue], limit=1, lease=60, wait=20)) == 1
