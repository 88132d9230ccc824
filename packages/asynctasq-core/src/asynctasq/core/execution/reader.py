"""Reads the body of a message: decodes the call, and finds its task."""

from dataclasses import dataclass

from asynctasq.config import Config
from asynctasq.core.execution.attempt import Call
from asynctasq.core.execution.retry import RetryPolicy, attempts_for, policy_for
from asynctasq.serialization.envelope import EnvelopeCodec
from asynctasq.tasks.registry import TaskRegistry


@dataclass(frozen=True, slots=True)
class Reader:
    """Decodes messages, finds their tasks, and applies the configured defaults."""

    registry: TaskRegistry
    codec: EnvelopeCodec
    config: Config

    def read(self, body: bytes) -> Call:
        """Returns the call in a message.

        Raises:
            TaskNotFound, UnknownType, UnsupportedVersion, SignatureError: unreadable for this
                worker; another one may read it.
            SerializationError: unreadable for every worker.
        """
        envelope = self.codec.decode(body)
        definition = self.registry.find(envelope.task)
        options = definition.options
        timeout = envelope.timeout or options.timeout or self.config.default_timeout
        return Call(envelope, definition, attempts_for(options, envelope, self.config), timeout)

    def policy(self, call: Call) -> RetryPolicy:
        """Returns the retry policy of a call."""
        return policy_for(call.definition.options, call.envelope, self.config)
