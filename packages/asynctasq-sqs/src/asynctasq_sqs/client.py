"""The SQS API: one client of aioboto3, calls with a limit of time, and batches of ten."""

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

#: Most entries of one batch, and messages of one answer.
TEN = 10
#: Seconds in which a call is answered, with all its repetitions.
CALL_LIMIT = 15.0
#: Seconds in which the API must be found, or not.
CONNECT_LIMIT = 8.0
#: Seconds in which connections must have closed.
CLOSE_LIMIT = 2.0
#: Most calls at once, long polls not counted.
CALLS_AT_ONCE = 32
#: How often a batch is sent because of entries that failed on the side of SQS.
TRIES = 4
#: Bytes of a body that is written in pieces.
LARGE = 64 * 1024

Reply = Mapping[str, Any]
Entry = Mapping[str, Any]


class Client:
    """Calls of the SQS API; raises only errors of the seam."""

    def __init__(self, settings: SQSSettings) -> None:
        self.location = settings.location()
        self._settings = settings
        self._stack = AsyncExitStack()
        self._room = asyncio.Semaphore(CALLS_AT_ONCE)
        self._client: Any = None

    async def open(self) -> None:
        """Make the client, and see that the API answers and takes the credentials."""
        try:
            self._client = await self._stack.enter_async_context(_make(self._settings))
            self._client.meta.events.register("before-send.sqs", _in_pieces)
        except FAILURES as error:
            raise translated(error, self.location, "connect") from error
        try:
            await self.call("list_queues", limit=CONNECT_LIMIT, MaxResults=1)
        except BrokerRejected as error:
            if "sqs:ListQueues" not in str(error):  # who may not list has been recognised
                raise

    async def close(self) -> None:
        """Close all connections within seconds; never raises."""
        self._client = None
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                await self._stack.aclose()
        except Exception:  # whatever it is, there is nothing left to do
            logger.warning("closing the connections to SQS failed", exc_info=True)

    async def call(self, operation: str, *, limit: float = CALL_LIMIT, **parameters: Any) -> Reply:
        """The reply to an operation, by its name in boto3; raises a `BrokerError`."""
        async with self._room:
            return await self._call(operation, limit, parameters)

    async def poll(self, *, limit: float, **parameters: Any) -> Reply:
        """The reply to a ``receive_message`` that may wait; it takes no other call's room."""
        return await self._call("receive_message", limit, parameters)

    async def batch(
        self, operation: str, url: str, entries: Sequence[Entry]
    ) -> list[BrokerError | None]:
        """Send up to ten entries, and those again that failed on the side of SQS.

        Returns the error of each entry, None for those that were accepted; a `LeaseGone` is a
        receipt handle that is good no more.
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
        except Exception as error:  # botocore and aiohttp let anything out for an odd answer
            raise translated(error, self.location, _api_name(operation)) from error

    def _entry_error(self, operation: str, failed: Reply | None) -> BrokerError:
        name = _api_name(operation)
        if failed is None:
            return BrokerUnavailable(f"SQS at {self.location} says nothing of an entry of {name}")
        code, text = str(failed.get("Code", "")), str(failed.get("Message", ""))
        passes = not failed.get("SenderFault", True)
        return from_code(code, text, self.location, name, passes=passes)


def needed(reply: Reply, key: str) -> str:
    """What every answer of SQS has; raises `BrokerUnavailable` if this one has not."""
    if not isinstance(value := reply.get(key), str):
        raise BrokerUnavailable(f"SQS gives an answer that cannot be read: it has no {key}")
    return value


def _by_number(entries: Sequence[Reply]) -> dict[int, Reply]:
    """The entries of a reply by the numbers they were sent with."""
    return {int(one["Id"]): one for one in entries if str(one.get("Id", "")).isdecimal()}


def _make(settings: SQSSettings) -> Any:
    """An unopened client. The import takes a second, so it is made by those who connect."""
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
        max_pool_connections=1000,  # what is waiting takes no other call's connection
        retries={"mode": "standard", "total_max_attempts": 3},
        tcp_keepalive=True,
    )
    return session.client("sqs", endpoint_url=settings.sqs_endpoint_url, config=options)


@cache
def _definitions() -> Any:
    """The descriptions of the API, which take longer to read than all the rest of a client."""
    return import_module("botocore.loaders").create_loader()


def _in_pieces(request: Any, **_: object) -> None:
    """Let a large body be written in pieces: in one, it would hold up the event loop."""
    if isinstance(request.body, bytes) and len(request.body) > LARGE:
        request.body = BytesIO(request.body)


def _api_name(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))
