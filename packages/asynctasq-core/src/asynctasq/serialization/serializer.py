"""The interface of serializers."""

from abc import ABC, abstractmethod


class BaseSerializer(ABC):
    """Turns the plain values of a message into bytes and back.

    The values are dicts with string keys, lists, strings, numbers, None, and the task's
    arguments. Both methods raise `SerializationError` for values they do not support.
    """

    @abstractmethod
    def dumps(self, value: object) -> bytes:
        """Return `value` as bytes."""

    @abstractmethod
    def loads(self, data: bytes) -> object:
        """Return the value that `dumps` turned into `data`."""
