"""The state of a driver between `connect` and `disconnect`."""

import logging

from asynctasq_sqs.background import Background
from asynctasq_sqs.client import Client
from asynctasq_sqs.dequeue import Receiver
from asynctasq_sqs.leases import Leases
from asynctasq_sqs.queues import Queues
from asynctasq_sqs.sender import Sender
from asynctasq_sqs.settings import SQSSettings
from asynctasq_sqs.settle import Settler

logger = logging.getLogger("asynctasq.sqs")

#: Seconds that running calls have to finish in `Session.close`.
CLOSE_LIMIT = 3.0


class Session:
    """The client, and the parts that use it."""

    def __init__(self, settings: SQSSettings) -> None:
        self.client = Client(settings)
        self.background = Background()
        self.queues = Queues(self.client, settings)
        self.sender = Sender(self.client, self.queues, settings)
        self.settler = Settler(self.client, self.queues, self.sender)
        self.leases = Leases(self.client)
        self.receiver = Receiver(
            self.client, self.queues, self.leases, self.settler, self.background
        )

    async def open(self) -> None:
        """Connect; after a failure, `close` frees the rest."""
        await self.client.open()

    async def close(self) -> None:
        """Finish running calls, release buffered messages and close connections; never raises."""
        try:
            await self.receiver.close()
            await self.background.close(CLOSE_LIMIT)
        except Exception:  # of any kind: the leases end by themselves
            logger.warning("releasing messages to SQS failed", exc_info=True)
        finally:
            await self.client.close()
