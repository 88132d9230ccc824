"""What a serializer must do."""

from abc import ABC, abstractmethod


class BaseSerializer(ABC):
    """Turns the plain values of a message into bytes and back.

    What it is given are dicts with string keys, lists, strings, numbers, None, and the task's
    arguments. Both methods raise `SerializationError` for what they cannot do.
    """

    @abstractmethod
    def dumps(self, value: object) -> bytes:
        """The bytes of `value`."""

    @abstractmethod
    def loads(self, data: bytes) -> object:
        """The value that `dumps` turned into `data`."""
