"""What a driver has from `connect` to `disconnect`."""

import logging

from asynctasq_sqs.background import Background
from asynctasq_sqs.client import Client
from asynctasq_sqs.dequeue import Polls
from asynctasq_sqs.leases import Leases
from asynctasq_sqs.queues import Queues
from asynctasq_sqs.sender import Sender
from asynctasq_sqs.settings import SQSSettings
from asynctasq_sqs.settle import Settling

logger = logging.getLogger("asynctasq.sqs")

#: Seconds in which calls that were started must end after `Session.close`.
CLOSE_LIMIT = 3.0


class Session:
    """The client, and all that is done with it."""

    def __init__(self, settings: SQSSettings) -> None:
        self.client = Client(settings)
        self.background = Background()
        self.queues = Queues(self.client, settings)
        self.sender = Sender(self.client, self.queues, settings)
        self.settling = Settling(self.client, self.queues, self.sender)
        self.leases = Leases(self.client)
        self.polls = Polls(self.client, self.queues, self.leases, self.settling, self.background)

    async def open(self) -> None:
        """Connect; what is open after a failure is for `close`."""
        await self.client.open()

    async def close(self) -> None:
        """End what runs, give back what nobody took, and close all connections; never raises."""
        try:
            await self.polls.close()
            await self.background.close(CLOSE_LIMIT)
        except Exception:  # whatever it is, leases end by themselves
            logger.warning("giving back messages to SQS failed", exc_info=True)
        finally:
            await self.client.close()
