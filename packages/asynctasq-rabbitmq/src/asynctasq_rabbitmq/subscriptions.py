"""The credit of one consumer: the prefetch of one or more basic.consume."""

import asyncio

from pamqp import commands

from asynctasq_rabbitmq.channel import Channel

#: Consumer timeout of the broker in milliseconds: the longest, as the driver keeps leases itself.
CONSUMER_TIMEOUT = 2**31 - 1
MOST_PREFETCH = 65535


class Subscription:
    """One basic.consume: `busy` of its `prefetch` messages are unacknowledged."""

    __slots__ = ("active", "busy", "prefetch")

    def __init__(self, prefetch: int) -> None:
        self.prefetch = prefetch
        self.busy = 0
        self.active = True


class Subscriptions:
    """All subscriptions of one channel to the broker's queue `name`."""

    def __init__(self, channel: Channel, name: str) -> None:
        self.changing = asyncio.Lock()  # held while subscriptions are added or cancelled
        self._channel = channel
        self._name = name
        self._by_tag: dict[str, Subscription] = {}
        self._last = 0

    @property
    def credit(self) -> int:
        """Messages that the broker may send, now or once settlements under way are done."""
        return sum(item.prefetch - item.busy for item in self._by_tag.values() if item.active)

    @property
    def total(self) -> int:
        """Messages that may be unacknowledged at once."""
        return sum(item.prefetch for item in self._by_tag.values())

    @property
    def is_new(self) -> bool:
        """Whether no subscription was ever added."""
        return not self._last

    def of(self, tag: str) -> Subscription:
        """Return the subscription of a delivery; an empty one if it was cancelled meanwhile."""
        return self._by_tag.get(tag) or Subscription(0)

    async def add(self, prefetch: int) -> None:
        """Let the broker send `prefetch` more messages."""
        self._last += 1
        tag = str(self._last)
        self._by_tag[tag] = Subscription(prefetch)
        consume = commands.Basic.Consume(
            queue=self._name, consumer_tag=tag, arguments={"x-consumer-timeout": CONSUMER_TIMEOUT}
        )
        answers = [
            self._channel.send(commands.Basic.Qos(prefetch_count=prefetch)),
            self._channel.send(consume),
        ]
        for answer in answers:
            await self._channel.answer(answer)

    async def cancel_all(self) -> None:
        """Stop the broker from sending messages."""
        for subscription in self._by_tag.values():
            subscription.active = False
        for tag in list(self._by_tag):
            cancel = commands.Basic.Cancel(consumer_tag=tag)
            await self._channel.call(cancel, commands.Basic.CancelOk)
            self._by_tag.pop(tag, None)

    def remove(self, tag: str) -> None:
        """Remove a subscription that the broker has cancelled."""
        if (subscription := self._by_tag.pop(tag, None)) is not None:
            subscription.active = False

    def clear(self) -> None:
        """Remove all subscriptions: the channel has ended."""
        self._by_tag.clear()
