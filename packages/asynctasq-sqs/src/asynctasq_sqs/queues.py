"""Where queues are: their URLs, those of their dead-letter queues, and making what is missing."""

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

#: How long SQS keeps messages of the queues made here: the longest it can, 14 days in seconds.
RETENTION = 14 * 86400
#: After how many deliveries SQS itself moves a message to the dead-letter queue. How often a task
#: is tried is not decided here, so it is the most SQS takes.
RECEIVES = 1000
#: Pauses in seconds between attempts to use a queue that was just made.
SETTLING = (0.1, 0.3, 0.6, 1.0, 2.0)

T = TypeVar("T")


class Queues:
    """The queues of one driver."""

    def __init__(self, client: Client, settings: SQSSettings) -> None:
        self._client = client
        self._settings = settings
        self._prefix = settings.name_prefix()
        self._urls: dict[str, str] = {}
        self._dead: dict[str, str] = {}
        self._made: Counter[str] = Counter()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._dead_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def on(self, queue: str, work: Callable[[str], Awaitable[T]]) -> T:
        """The result of `work` with the queue's URL, made if it may be and does not exist.

        `work` is called again after a `NoSuchQueue`.
        """
        url = await self._url(queue)
        made = self._made[queue]
        try:
            return await work(url)
        except NoSuchQueue:
            url = await self._made_since(queue, made)
        return await _settled(lambda: work(url))

    async def on_dead(self, queue: str, work: Callable[[str], Awaitable[T]]) -> T:
        """The same with its dead-letter queue."""
        try:
            return await work(await self._dead_url(queue))
        except NoSuchQueue:
            self._dead.pop(queue, None)
        url = await self._dead_url(queue)
        return await _settled(lambda: work(url))

    async def find(self, queue: str) -> str | None:
        """The URL of a queue that exists."""
        try:
            return await self._existing(sqs_name(queue, prefix=self._prefix))
        except NoSuchQueue:
            return None

    async def find_dead(self, queue: str) -> str | None:
        """The URL of a dead-letter queue that exists."""
        url = await self.find(queue)
        name, account = await self._dead_of(queue, url) if url else (self._dead_name(queue), None)
        try:
            return await self._existing(name, account)
        except NoSuchQueue:
            return None

    async def attributes(self, url: str, *names: str) -> Mapping[str, str]:
        """Attributes of a queue."""
        reply = await self._client.call(
            "get_queue_attributes", QueueUrl=url, AttributeNames=list(names)
        )
        return reply.get("Attributes", {})

    async def listed(self) -> dict[str, str]:
        """The SQS names of all queues with the prefix, with their URLs."""
        urls: list[str] = []
        more: dict[str, Any] = {"QueueNamePrefix": self._prefix} if self._prefix else {}
        while True:
            reply = await self._client.call("list_queues", MaxResults=1000, **more)
            urls += reply.get("QueueUrls", ())
            if not reply.get("NextToken"):
                return {url.rpartition("/")[2]: url for url in urls}
            more["NextToken"] = reply["NextToken"]

    def queue_of(self, name: str) -> str:
        """The queue of an SQS name."""
        return queue_name(name, prefix=self._prefix)

    def dead_name_of(self, name: str, attributes: Mapping[str, str]) -> str:
        """The SQS name of the dead-letter queue that a queue has or would get."""
        arn = _target(attributes)
        return arn.rpartition(":")[2] if arn else self._dead_name(self.queue_of(name))

    async def _dead_url(self, queue: str) -> str:
        if queue not in self._dead:
            async with self._dead_locks[queue]:
                if queue not in self._dead:
                    self._dead[queue] = await self._find_or_make_dead(queue)
        return self._dead[queue]

    def _dead_name(self, queue: str) -> str:
        suffix = self._settings.sqs_dead_letter_suffix
        return sqs_name(queue, prefix=self._prefix, suffix=suffix)

    async def _lookup(self, name: str) -> str:
        return self._with_prefix(name) or await self._existing(name)

    def _with_prefix(self, name: str) -> str | None:
        """The URL that takes no request: that is what the prefix is for."""
        prefix = self._settings.sqs_queue_url_prefix
        return f"{prefix.rpartition('/')[0]}/{name}" if prefix else None

    async def _existing(self, name: str, account: str | None = None) -> str:
        owner: dict[str, Any] = {"QueueOwnerAWSAccountId": account} if account else {}
        reply = await self._client.call("get_queue_url", QueueName=name, **owner)
        return needed(reply, "QueueUrl")

    async def _url(self, queue: str) -> str:
        async with self._locks[queue]:  # many calls at once ask and make once
            if queue not in self._urls:
                name = sqs_name(queue, prefix=self._prefix)
                try:
                    self._urls[queue] = await self._lookup(name)
                except NoSuchQueue:
                    await self._make(queue)
            return self._urls[queue]

    async def _made_since(self, queue: str, made: int) -> str:
        """The URL of the queue, made unless another call has done it since `made` times."""
        async with self._locks[queue]:
            if self._made[queue] == made:
                self._urls.pop(queue, None)
                self._dead.pop(queue, None)
                await self._make(queue)
            return self._urls[queue]

    async def _make(self, queue: str) -> None:
        name = sqs_name(queue, prefix=self._prefix)
        self._check_may_make(name)
        dead = await self._make_one(self._dead_name(queue), {})
        url = await self._make_one(name, {"RedrivePolicy": await self._policy(dead)})
        self._urls[queue] = self._with_prefix(name) or url
        self._made[queue] += 1

    async def _make_one(self, name: str, more: Mapping[str, str]) -> str:
        attributes = {"MessageRetentionPeriod": str(RETENTION), **more}
        if is_fifo(name):
            attributes["FifoQueue"] = "true"
        try:
            reply = await self._client.call("create_queue", QueueName=name, Attributes=attributes)
        except QueueExists:  # whoever made it has decided how it is
            return await self._existing(name)
        logger.info("made the SQS queue %s", name)
        return needed(reply, "QueueUrl")

    async def _find_or_make_dead(self, queue: str) -> str:
        url = await self._url(queue)
        name, account = await self._dead_of(queue, url)
        try:
            return await self._existing(name, account)
        except NoSuchQueue:
            self._check_may_make(name)
        dead = await self._make_one(name, {})
        await self._wire(url, dead)
        return dead

    async def _dead_of(self, queue: str, url: str) -> tuple[str, str | None]:
        """The SQS name of a queue's dead-letter queue, and its account where it may be another."""
        arn = _target(await self.attributes(url, "RedrivePolicy"))
        if arn is None:
            return self._dead_name(queue), None
        *_, account, name = arn.split(":")
        return name, account

    async def _wire(self, url: str, dead: str) -> None:
        policy = {"RedrivePolicy": await self._policy(dead)}
        try:
            await self._client.call("set_queue_attributes", QueueUrl=url, Attributes=policy)
        except BrokerRejected as error:  # dead messages are sent there all the same
            logger.warning("the dead-letter queue of %s is not wired: %s", url, error)

    async def _policy(self, dead: str) -> str:
        attributes = await _settled(lambda: self.attributes(dead, "QueueArn"))
        arn = needed(attributes, "QueueArn")
        return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES})

    def _check_may_make(self, name: str) -> None:
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


async def _settled(work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work` on a queue that SQS takes some seconds to know."""
    for pause in SETTLING:
        try:
            return await work()
        except NoSuchQueue:
            await asyncio.sleep(pause)
    return await work()
