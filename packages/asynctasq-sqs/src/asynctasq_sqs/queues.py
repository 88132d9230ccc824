"""Finds the URLs of queues and dead-letter queues, and creates missing queues."""

import asyncio
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from asynctasq.errors import BrokerRejected
from asynctasq_sqs.client import Client, needed
from asynctasq_sqs.errors import NoSuchQueue, QueueExists
from asynctasq_sqs.names import is_fifo, queue_name, sqs_name
from asynctasq_sqs.settings import SQSSettings

logger = logging.getLogger("asynctasq.sqs")

#: Retention of created queues in seconds: the maximum of SQS, 14 days.
RETENTION = 14 * 86400
#: Deliveries after which SQS itself moves a message to the dead-letter queue: its maximum, since
#: attempt limits are the engine's.
RECEIVES = 1000
#: Pauses in seconds between tries to use a queue that was just created.
CREATION_PAUSES = (0.1, 0.3, 0.6, 1.0, 2.0)

T = TypeVar("T")


class Queues:
    """The queues of one driver."""

    def __init__(self, client: Client, settings: SQSSettings) -> None:
        self._client = client
        self._settings = settings
        self._prefix = settings.name_prefix()
        self._urls: dict[str, str] = {}
        self._dead: dict[str, str] = {}
        self._created: Counter[str] = Counter()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._dead_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def on(self, queue: str, work: Callable[[str], Awaitable[T]]) -> T:
        """Run `work` with the URL of a queue, which is created if it is missing and may be.

        After a `NoSuchQueue`, `work` is called again.
        """
        url = await self._url(queue)
        created = self._created[queue]
        try:
            return await work(url)
        except NoSuchQueue:
            url = await self._created_since(queue, created)
        return await _when_created(lambda: work(url))

    async def on_dead(self, queue: str, work: Callable[[str], Awaitable[T]]) -> T:
        """Run `work` with the URL of the dead-letter queue, created likewise."""
        try:
            return await work(await self._dead_url(queue))
        except NoSuchQueue:
            self._dead.pop(queue, None)
        url = await self._dead_url(queue)
        return await _when_created(lambda: work(url))

    async def find(self, queue: str) -> str | None:
        """Return the URL of a queue, None if it does not exist."""
        try:
            return await self._existing(sqs_name(queue, prefix=self._prefix))
        except NoSuchQueue:
            return None

    async def find_dead(self, queue: str) -> str | None:
        """Return the URL of a dead-letter queue, None if it does not exist."""
        url = await self.find(queue)
        name, account = await self._dead_of(queue, url) if url else (self._dead_name(queue), None)
        try:
            return await self._existing(name, account)
        except NoSuchQueue:
            return None

    async def attributes(self, url: str, *names: str) -> Mapping[str, str]:
        """Return attributes of a queue."""
        reply = await self._client.call(
            "get_queue_attributes", QueueUrl=url, AttributeNames=list(names)
        )
        return reply.get("Attributes", {})

    async def listed(self) -> dict[str, str]:
        """Map the SQS names of all queues with the prefix to their URLs."""
        urls: list[str] = []
        more: dict[str, Any] = {"QueueNamePrefix": self._prefix} if self._prefix else {}
        while True:
            reply = await self._client.call("list_queues", MaxResults=1000, **more)
            urls += reply.get("QueueUrls", ())
            if not reply.get("NextToken"):
                return {url.rpartition("/")[2]: url for url in urls}
            more["NextToken"] = reply["NextToken"]

    def queue_of(self, name: str) -> str:
        """Return the queue of an SQS name."""
        return queue_name(name, prefix=self._prefix)

    def dead_name_of(self, name: str, attributes: Mapping[str, str]) -> str:
        """Return the SQS name of the dead-letter queue that a queue has, or would get."""
        arn = _target(attributes)
        return arn.rpartition(":")[2] if arn else self._dead_name(self.queue_of(name))

    async def _dead_url(self, queue: str) -> str:
        if queue not in self._dead:
            async with self._dead_locks[queue]:
                if queue not in self._dead:
                    self._dead[queue] = await self._find_or_create_dead(queue)
        return self._dead[queue]

    def _dead_name(self, queue: str) -> str:
        suffix = self._settings.sqs_dead_letter_suffix
        return sqs_name(queue, prefix=self._prefix, suffix=suffix)

    async def _lookup(self, name: str) -> str:
        return self._with_prefix(name) or await self._existing(name)

    def _with_prefix(self, name: str) -> str | None:
        """Return the URL without a request, if there is a prefix."""
        prefix = self._settings.sqs_queue_url_prefix
        return f"{prefix.rpartition('/')[0]}/{name}" if prefix else None

    async def _existing(self, name: str, account: str | None = None) -> str:
        owner: dict[str, Any] = {"QueueOwnerAWSAccountId": account} if account else {}
        reply = await self._client.call("get_queue_url", QueueName=name, **owner)
        return needed(reply, "QueueUrl")

    async def _url(self, queue: str) -> str:
        async with self._locks[queue]:  # concurrent calls look it up, or create it, once
            if queue not in self._urls:
                name = sqs_name(queue, prefix=self._prefix)
                try:
                    self._urls[queue] = await self._lookup(name)
                except NoSuchQueue:
                    await self._create(queue)
            return self._urls[queue]

    async def _created_since(self, queue: str, created: int) -> str:
        """Return the URL of the queue; create it unless another call did so since `created`."""
        async with self._locks[queue]:
            if self._created[queue] == created:
                self._urls.pop(queue, None)
                self._dead.pop(queue, None)
                await self._create(queue)
            return self._urls[queue]

    async def _create(self, queue: str) -> None:
        name = sqs_name(queue, prefix=self._prefix)
        self._check_may_create(name)
        dead = await self._create_one(self._dead_name(queue), {})
        url = await self._create_one(name, {"RedrivePolicy": await self._policy(dead)})
        self._urls[queue] = self._with_prefix(name) or url
        self._created[queue] += 1

    async def _create_one(self, name: str, more: Mapping[str, str]) -> str:
        attributes = {"MessageRetentionPeriod": str(RETENTION), **more}
        if is_fifo(name):
            attributes["FifoQueue"] = "true"
        try:
            reply = await self._client.call("create_queue", QueueName=name, Attributes=attributes)
        except QueueExists:  # its creator chose the attributes
            return await self._existing(name)
        logger.info("created the SQS queue %s", name)
        return needed(reply, "QueueUrl")

    async def _find_or_create_dead(self, queue: str) -> str:
        url = await self._url(queue)
        name, account = await self._dead_of(queue, url)
        try:
            return await self._existing(name, account)
        except NoSuchQueue:
            self._check_may_create(name)
        dead = await self._create_one(name, {})
        await self._wire(url, dead)
        return dead

    async def _dead_of(self, queue: str, url: str) -> tuple[str, str | None]:
        """Return the SQS name of the dead-letter queue, and its account if that may differ."""
        arn = _target(await self.attributes(url, "RedrivePolicy"))
        if arn is None:
            return self._dead_name(queue), None
        *_, account, name = arn.split(":")
        return name, account

    async def _wire(self, url: str, dead: str) -> None:
        policy = {"RedrivePolicy": await self._policy(dead)}
        try:
            await self._client.call("set_queue_attributes", QueueUrl=url, Attributes=policy)
        except BrokerRejected as error:  # the driver sends dead messages there in any case
            logger.warning("cannot set the redrive policy of %s: %s", url, error)

    async def _policy(self, dead: str) -> str:
        attributes = await _when_created(lambda: self.attributes(dead, "QueueArn"))
        arn = needed(attributes, "QueueArn")
        return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES})

    def _check_may_create(self, name: str) -> None:
        if not self._settings.sqs_create_queues:
            raise BrokerRejected(
                f"the SQS queue {name} does not exist at {self._client.location}, "
                "and sqs_create_queues is false: create it"
            )


def _target(attributes: Mapping[str, str]) -> str | None:
    try:
        policy: dict[str, Any] = json.loads(attributes.get("RedrivePolicy") or "{}")
        arn = policy.get("deadLetterTargetArn")
    except (ValueError, AttributeError):
        return None
    return arn if isinstance(arn, str) and ":" in arn else None


async def _when_created(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` on a queue that was just created, which takes effect within seconds."""
    for pause in CREATION_PAUSES:
        try:
            return await work()
        except NoSuchQueue:
            await asyncio.sleep(pause)
    return await work()
