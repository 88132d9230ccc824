"""Message signing: HMAC-SHA256 (RFC 2104) over the body, with key rotation.

A signed body is a mark with which no MessagePack value starts, the 32 bytes of the code, and the
body. The first key signs; every key verifies. To rotate keys, put the new key first, restart all
producers and workers, and remove the old key when no message signed with it is left.
"""

import hashlib
import hmac
from collections.abc import Sequence

from asynctasq.errors import SignatureError

MARK = b"\xc1signed1"  # no MessagePack value starts with the first byte: it is "never used"
_START = len(MARK)
_SIZE = hashlib.sha256().digest_size


class Signer:
    """Signs with the first key and verifies with any key; does neither without keys."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._keys = [key.encode() for key in keys]

    def __repr__(self) -> str:
        return f"Signer({len(self._keys)} keys)"

    def sign(self, body: bytes) -> bytes:
        """Return the body as it is stored."""
        return MARK + _code(self._keys[0], body) + body if self._keys else body

    def verify(self, data: bytes) -> bytes:
        """Return the body of a stored message; raise `SignatureError`."""
        signed = data.startswith(MARK)
        if not self._keys:
            if signed:
                raise SignatureError("the message is signed; set signing_keys to read it")
            return data
        if not signed:
            raise SignatureError("the message is not signed, and signing_keys is set")
        code, body = data[_START : _START + _SIZE], data[_START + _SIZE :]
        if not any(hmac.compare_digest(code, _code(key, body)) for key in self._keys):
            raise SignatureError("the message's signature matches none of signing_keys")
        return body


def _code(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")
