"""What one consumer has asked the broker for: credit, in one or more basic.consume."""

import asyncio

from pamqp import commands

from asynctasq_rabbitmq.channel import Channel

#: Milliseconds for which a message may be held, by the broker's clock: leases are ours.
CONSUMER_TIMEOUT = 2**31 - 1
MOST_PREFETCH = 65535


class Subscription:
    """One basic.consume: `busy` of its `prefetch` messages are here and not settled."""

    __slots__ = ("active", "busy", "prefetch")

    def __init__(self, prefetch: int) -> None:
        self.prefetch = prefetch
        self.busy = 0
        self.active = True


class Subscriptions:
    """All subscriptions of one channel to the broker's queue `name`."""

    def __init__(self, channel: Channel, name: str) -> None:
        self.changing = asyncio.Lock()  # held by who adds some, or cancels them
        self._channel = channel
        self._name = name
        self._by_tag: dict[str, Subscription] = {}
        self._last = 0

    @property
    def credit(self) -> int:
        """Messages the broker may still send, or can once those being settled are."""
        return sum(one.prefetch - one.busy for one in self._by_tag.values() if one.active)

    @property
    def total(self) -> int:
        """Messages that may be here at once."""
        return sum(one.prefetch for one in self._by_tag.values())

    @property
    def is_new(self) -> bool:
        """Whether there has been none yet."""
        return not self._last

    def of(self, tag: str) -> Subscription:
        """The subscription of a message; one without credit if it was cancelled meanwhile."""
        return self._by_tag.get(tag) or Subscription(0)

    async def add(self, prefetch: int) -> None:
        """Let the broker send so many more messages."""
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
        """Let the broker send no more."""
        for one in self._by_tag.values():
            one.active = False
        for tag in list(self._by_tag):
            cancel = commands.Basic.Cancel(consumer_tag=tag)
            await self._channel.call(cancel, commands.Basic.CancelOk)
            self._by_tag.pop(tag, None)

    def remove(self, tag: str) -> None:
        """Forget a subscription that the broker has cancelled."""
        if (subscription := self._by_tag.pop(tag, None)) is not None:
            subscription.active = False

    def clear(self) -> None:
        """Forget all: the channel has ended."""
        self._by_tag.clear()
