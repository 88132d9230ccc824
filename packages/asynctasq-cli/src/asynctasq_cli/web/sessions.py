"""Sessions as signed cookies, and the limit on wrong tokens."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from asynctasq.errors import ConfigError

COOKIE = "asynctasq_session"
#: Seconds after which a session ends.
LIFETIME = 12 * 3600
#: Shortest token, in characters; shorter tokens can be guessed.
SHORTEST = 16

#: Wrong tokens from one address within a period of seconds, after which it must wait.
TRIES, PERIOD = 10, 60.0
#: Addresses to track; the oldest is dropped first.
ADDRESSES = 1000


class Sessions:
    """Issues and checks signed cookies; without a token no session is required.

    The key is derived from the token: sessions survive a restart, and a new token ends them all.
    """

    def __init__(self, token: str | None, clock: Callable[[], float] = time.time) -> None:
        if token is not None and len(token) < SHORTEST:
            raise ConfigError(
                f"the dashboard's token needs {SHORTEST} characters or more; make one with: "
                "python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        self._clock = clock
        self._token = None if token is None else _digest(token)
        self._key = b"" if token is None else _digest(f"session {token}")

    @property
    def required(self) -> bool:
        """Whether users have to sign in."""
        return self._token is not None

    def matches(self, token: str) -> bool:
        """Whether `token` is the configured token, compared in constant time."""
        return self._token is not None and hmac.compare_digest(self._token, _digest(token))

    def issue(self) -> str:
        """Return a new session, as the value of a cookie."""
        payload = f"{int(self._clock()) + LIFETIME}.{secrets.token_urlsafe(16)}"
        return f"{payload}.{self._signature(payload)}"

    def valid(self, cookie: str | None) -> bool:
        """Whether the cookie is signed and has not expired; True if no session is required."""
        if not self.required:
            return True
        payload, _, signature = (cookie or "").rpartition(".")
        if not hmac.compare_digest(self._signature(payload).encode(), signature.encode()):
            return False
        return self._clock() < int(payload.partition(".")[0])

    def _signature(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest()


class Throttle:
    """Counts the wrong tokens of each address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Return the seconds until the address may try again; 0 if it may now."""
        recent = self._recent(address)
        return recent[-TRIES] + PERIOD - self._clock() if len(recent) >= TRIES else 0.0

    def failed(self, address: str) -> None:
        """Count a wrong token."""
        self._failed[address] = [*self._recent(address), self._clock()][-TRIES:]
        self._failed.move_to_end(address)
        while len(self._failed) > ADDRESSES:
            self._failed.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = self._clock() - PERIOD
        return [when for when in self._failed.get(address, ()) if when > since]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
