"""All errors that AsyncTasQ raises, under one root.

::

    AsyncTasQError
    ├── ConfigError
    │   ├── DriverNotFound
    │   └── DriverIncompatible
    ├── BrokerError
    │   ├── BrokerUnavailable      a retry may succeed
    │   ├── BrokerRejected         a retry fails again
    │   │   └── WorkerRefused      a running worker was refused for too long
    │   └── EnqueueFailed          only a part of a batch was accepted
    ├── TaskError
    │   ├── TaskNotFound
    │   ├── InvalidArguments
    │   ├── TaskTimeout
    │   ├── TaskCancelled
    │   └── WorkerDied
    └── SerializationError
        ├── SignatureError
        ├── UnknownType
        └── UnsupportedVersion

The docstring of a class is the message of an error that is raised without one.
"""

from collections.abc import Sequence


class AsyncTasQError(Exception):
    """Something went wrong in AsyncTasQ."""

    def __str__(self) -> str:
        return super().__str__() or (type(self).__doc__ or "").strip()


class ConfigError(AsyncTasQError):
    """The configuration is not usable."""


class DriverNotFound(ConfigError):
    """No installed package provides this driver."""


class DriverIncompatible(ConfigError):
    """The driver's package does not fit this version of asynctasq-core."""


class BrokerError(AsyncTasQError):
    """The broker did not carry out a call."""


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached at the moment; the same call may succeed later."""


class BrokerRejected(BrokerError):
    """The broker refuses this call and would refuse it again."""


class WorkerRefused(BrokerRejected):
    """The broker refused a running worker for longer than its limit."""


class EnqueueFailed(BrokerError):
    """Only a part of the batch was accepted.

    Attributes:
        accepted: ids of the messages that are stored.
        rejected: ids of the messages that are not.
    """

    def __init__(
        self, message: str = "", *, accepted: Sequence[str] = (), rejected: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.accepted = tuple(accepted)
        self.rejected = tuple(rejected)


class TaskError(AsyncTasQError):
    """A task could not be completed."""


class TaskNotFound(TaskError):
    """No task of this name is registered here."""


class InvalidArguments(TaskError, TypeError):
    """The arguments do not fit the task's signature."""


class TaskTimeout(TaskError, TimeoutError):
    """The task ran longer than its timeout."""


class TaskCancelled(TaskError):
    """The task was cancelled."""


class WorkerDied(TaskError):
    """The process that ran the task ended before the task did."""


class SerializationError(AsyncTasQError):
    """A value cannot be written into a message, or a message cannot be read."""


class SignatureError(SerializationError):
    """The message is not signed with one of this worker's keys."""


class UnknownType(SerializationError):
    """The message contains a value of a type that is unknown here, or differs."""


class UnsupportedVersion(SerializationError):
    """The message was written by a newer release than this one."""
