"""Calls the SQS API through aioboto3: with a time limit, and in batches of ten."""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any

from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable
from asynctasq_sqs.errors import FAILURES, from_code, translated
from asynctasq_sqs.settings import SQSSettings

logger = logging.getLogger("asynctasq.sqs")

#: Entry limit of a batch, and message limit of a reply.
TEN = 10
#: Time limit of a call in seconds, retries included.
CALL_LIMIT = 15.0
#: Connect timeout in seconds.
CONNECT_LIMIT = 8.0
#: Seconds that connections have to close.
CLOSE_LIMIT = 2.0
#: Limit of concurrent calls, polls not counted.
CALLS_AT_ONCE = 32
#: How often a batch is sent when entries fail on the side of SQS.
TRIES = 4
#: Request bodies above this number of bytes are written in pieces.
LARGE = 64 * 1024

Reply = Mapping[str, Any]
Entry = Mapping[str, Any]


class Client:
    """Calls of the SQS API; they raise only errors of the seam."""

    def __init__(self, settings: SQSSettings) -> None:
        self.location = settings.location()
        self._settings = settings
        self._stack = AsyncExitStack()
        self._room = asyncio.Semaphore(CALLS_AT_ONCE)
        self._client: Any = None

    async def open(self) -> None:
        """Create the client, and check that the API is reachable and accepts the credentials."""
        try:
            self._client = await self._stack.enter_async_context(_make(self._settings))
            self._client.meta.events.register("before-send.sqs", _in_pieces)
        except FAILURES as error:
            raise translated(error, self.location, "connect") from error
        try:
            await self.call("list_queues", limit=CONNECT_LIMIT, MaxResults=1)
        except BrokerRejected as error:
            if "sqs:ListQueues" not in str(
                error
            ):  # the credentials are valid, only this permission is missing
                raise

    async def close(self) -> None:
        """Close all connections within seconds; never raises."""
        self._client = None
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                await self._stack.aclose()
        except Exception:  # of any kind: nothing is left to do but to log it
            logger.warning("closing the connections to SQS failed", exc_info=True)

    async def call(self, operation: str, *, limit: float = CALL_LIMIT, **parameters: Any) -> Reply:
        """Call an operation by its name in boto3; raises a `BrokerError`."""
        async with self._room:
            return await self._call(operation, limit, parameters)

    async def poll(self, *, limit: float, **parameters: Any) -> Reply:
        """Call ``receive_message``, which may wait; it does not count as a concurrent call."""
        return await self._call("receive_message", limit, parameters)

    async def batch(
        self, operation: str, url: str, entries: Sequence[Entry]
    ) -> list[BrokerError | None]:
        """Send up to ten entries; entries that fail on the side of SQS are sent again.

        Return the error of each entry, None if it was accepted. `LeaseGone` stands for a receipt
        handle that is no longer valid.
        """
        errors: list[BrokerError | None] = [None] * len(entries)
        left = list(range(len(entries)))
        for tries in range(TRIES):
            if tries:
                await asyncio.sleep(random.uniform(0, 0.1 * 2**tries))
            sent = [{"Id": str(i), **entries[i]} for i in left]
            try:
                reply = await self.call(operation, QueueUrl=url, Entries=sent)
            except BrokerError as error:
                for i in left:
                    errors[i] = error
                break
            failed = _by_number(reply.get("Failed", ()))
            accepted = _by_number(reply.get("Successful", ()))
            for i in left:
                errors[i] = None if i in accepted else self._entry_error(operation, failed.get(i))
            left = [i for i in left if isinstance(errors[i], BrokerUnavailable)]
            if not left:
                break
        return errors

    async def _call(self, operation: str, limit: float, parameters: dict[str, Any]) -> Reply:
        if self._client is None:
            raise BrokerUnavailable("the driver was disconnected")
        call = getattr(self._client, operation)
        try:
            async with asyncio.timeout(limit):
                return await call(**parameters)
        except Exception as error:  # botocore and aiohttp raise any kind for an odd reply
            raise translated(error, self.location, _api_name(operation)) from error

    def _entry_error(self, operation: str, failed: Reply | None) -> BrokerError:
        name = _api_name(operation)
        if failed is None:
            return BrokerUnavailable(
                f"SQS at {self.location} did not report the result of an entry of {name}"
            )
        code, text = str(failed.get("Code", "")), str(failed.get("Message", ""))
        passes = not failed.get("SenderFault", True)
        return from_code(code, text, self.location, name, passes=passes)


def needed(reply: Reply, key: str) -> str:
    """Return a required field of a reply; raises `BrokerUnavailable` if it is missing."""
    if not isinstance(value := reply.get(key), str):
        raise BrokerUnavailable(f"SQS returned an unreadable reply: it has no {key}")
    return value


def _by_number(entries: Sequence[Reply]) -> dict[int, Reply]:
    """Map the entries of a reply by the number they were sent with."""
    return {int(one["Id"]): one for one in entries if str(one.get("Id", "")).isdecimal()}


def _make(settings: SQSSettings) -> Any:
    """Create a client, not opened. Imports aioboto3, which takes a second, only to connect."""
    aioboto3: Any = import_module("aioboto3")
    config: Any = import_module("aiobotocore.config")
    base: Any = import_module("aiobotocore.session").AioSession()
    base.register_component("data_loader", _definitions())
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    session = aioboto3.Session(
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        aws_session_token=token.get_secret_value() if token else None,
        region_name=settings.region(),
        botocore_session=base,
    )
    options = config.AioConfig(
        connect_timeout=2,
        read_timeout=30,  # longer than the longest poll
        max_pool_connections=1000,  # a long poll occupies one
        retries={"mode": "standard", "total_max_attempts": 3},
        tcp_keepalive=True,
    )
    return session.client("sqs", endpoint_url=settings.sqs_endpoint_url, config=options)


@cache
def _definitions() -> Any:
    """Load the API descriptions once: reading them dominates the creation of a client."""
    return import_module("botocore.loaders").create_loader()


def _in_pieces(request: Any, **_: object) -> None:
    """Write a large body in pieces: a single write would block the event loop."""
    if isinstance(request.body, bytes) and len(request.body) > LARGE:
        request.body = BytesIO(request.body)


def _api_name(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))
