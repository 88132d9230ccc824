"""The default serializer: MessagePack, with the types of `hooks` as one extension type."""

from collections.abc import Callable
from typing import Self, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from asynctasq.errors import SerializationError
from asynctasq.serialization.hooks import STANDARD_HOOKS, Hooks, TypeHook
from asynctasq.serialization.serializer import BaseSerializer

#: The extension type under which tagged values travel.
TAGGED = 1

# msgpack ships no types of its own
_pack = cast("Callable[..., bytes]", msgpack.packb)  # pyright: ignore[reportUnknownMemberType]
_unpack = cast("Callable[..., object]", msgpack.unpackb)  # pyright: ignore[reportUnknownMemberType]


class MsgpackSerializer(BaseSerializer):
    """MessagePack (https://msgpack.org), compact and fast, for the types in `STANDARD_HOOKS`.

    Args:
        hooks: more types, or other ways for a type to travel.
    """

    def __init__(self, *hooks: TypeHook) -> None:
        self._own = hooks
        self._hooks = Hooks((*STANDARD_HOOKS, *hooks))

    def __reduce__(self) -> tuple[type[Self], tuple[TypeHook, ...]]:
        return type(self), self._own  # travels to the processes of a pool

    def dumps(self, value: object) -> bytes:
        """The bytes of `value`; raises `SerializationError` for a type without a hook."""
        try:
            # strict_types sends tuples and subclasses to the hooks, so that the types survive
            return _pack(value, default=self._encode, strict_types=True)
        except SerializationError:
            raise
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise SerializationError(str(error)) from error
        # Hooks look into the application's values, which may raise anything.
        except Exception as error:
            raise SerializationError(f"{type(error).__name__}: {error}") from error

    def loads(self, data: bytes) -> object:
        """The value in `data`; raises `SerializationError` for anything malformed."""
        try:
            return _unpack(data, ext_hook=self._decode, strict_map_key=False)
        except SerializationError:
            raise
        # Hooks run constructors of the application's types, which may raise anything.
        except Exception as error:
            raise SerializationError(f"{type(error).__name__}: {error}") from error

    def _encode(self, value: object) -> msgpack.ExtType:
        tag, plain = self._hooks.encode(value)
        return msgpack.ExtType(TAGGED, self.dumps([tag, plain]))

    def _decode(self, code: int, data: bytes) -> object:
        if code != TAGGED:
            raise SerializationError(f"unknown extension type {code}")
        tag, plain = cast("tuple[str, object]", self.loads(data))
        return self._hooks.decode(tag, plain)
