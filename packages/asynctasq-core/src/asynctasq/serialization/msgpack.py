"""The default serializer: MessagePack, with the types of `hooks` in one extension type."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Protocol, Self, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from asynctasq.errors import SerializationError
from asynctasq.serialization.hooks import STANDARD_HOOKS, Hooks, TypeHook
from asynctasq.serialization.serializer import BaseSerializer

#: The extension type of tagged values.
TAGGED = 1

#: The deepest nesting of tagged values. Each level is a call of the decoder, whose C code takes
#: 20 KiB of the stack: a few hundred levels would crash the process.
MAX_DEPTH = 64

#: The initial buffer of a packer, in bytes; a packer whose buffer grew is not reused.
BUFFER = 256 * 1024


class _Packer(Protocol):
    def pack(self, value: object, /) -> bytes: ...


# msgpack ships no types of its own
_new_packer = cast(
    "Callable[..., _Packer]",
    msgpack.Packer,  # pyright: ignore[reportUnknownMemberType]
)
_unpack = cast("Callable[..., object]", msgpack.unpackb)  # pyright: ignore[reportUnknownMemberType]


class MsgpackSerializer(BaseSerializer):
    """MessagePack (https://msgpack.org), with support for the types in `STANDARD_HOOKS`.

    Args:
        hooks: further types, or other encodings of supported types.
    """

    def __init__(self, *hooks: TypeHook) -> None:
        self._own = hooks
        self._hooks = Hooks((*STANDARD_HOOKS, *hooks))
        self._idle: defaultdict[int, list[_Packer]] = defaultdict(list)  # by depth

    def __reduce__(self) -> tuple[type[Self], tuple[TypeHook, ...]]:
        return type(self), self._own  # pickled for the processes of a pool

    def dumps(self, value: object) -> bytes:
        """Return `value` as bytes; raise `SerializationError` for a type without a hook."""
        return self._dumps(value, 0)

    def loads(self, data: bytes) -> object:
        """Return the value in `data`; raise `SerializationError` if it is malformed."""
        return self._loads(data, 0)

    def _dumps(self, value: object, depth: int) -> bytes:
        try:
            return self._pack(value, depth)
        except SerializationError:
            raise
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise SerializationError(str(error)) from error
        except Exception as error:  # hooks read the application's values, which may raise anything
            raise SerializationError(f"{type(error).__name__}: {error}") from error

    def _loads(self, data: bytes, depth: int) -> object:
        try:
            return _unpack(data, ext_hook=partial(self._decode, depth), strict_map_key=False)
        except SerializationError:
            raise
        except Exception as error:  # hooks call the application's constructors, which may raise
            raise SerializationError(f"{type(error).__name__}: {error}") from error

    def _pack(self, value: object, depth: int) -> bytes:
        # creating a packer and its buffer takes longer than packing a typical message
        idle = self._idle[depth]
        try:
            packer = idle.pop()
        except IndexError:  # other threads use all of them
            encode = partial(self._encode, depth)
            # strict_types sends tuples and subclasses to the hooks, so that the types survive
            packer = _new_packer(default=encode, strict_types=True, buf_size=BUFFER)
        data = packer.pack(value)
        if len(data) <= BUFFER:
            idle.append(packer)
        return data

    def _encode(self, depth: int, value: object) -> msgpack.ExtType:
        _check_depth(depth)
        tag, plain = self._hooks.encode(value)
        return msgpack.ExtType(TAGGED, self._dumps([tag, plain], depth + 1))

    def _decode(self, depth: int, code: int, data: bytes) -> object:
        if code != TAGGED:
            raise SerializationError(f"unknown extension type {code}")
        _check_depth(depth)
        tag, plain = cast("tuple[str, object]", self._loads(data, depth + 1))
        return self._hooks.decode(tag, plain)


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise SerializationError(f"typed values are nested more than {MAX_DEPTH} deep")
