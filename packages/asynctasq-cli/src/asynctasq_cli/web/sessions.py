"""Who may look: those who knew the token, for some hours."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from asynctasq.errors import ConfigError

COOKIE = "asynctasq_session"
#: Seconds after which people have to sign in again.
LIFETIME = 12 * 3600
#: Shortest token: what is shorter can be found by trying.
SHORTEST = 16

#: Wrong tokens from one address within so many seconds, after which it has to wait.
TRIES, PERIOD = 10, 60.0
#: Addresses that are remembered; the oldest is forgotten first.
ADDRESSES = 1000


class Sessions:
    """Signed cookies; without a token everybody may look.

    The key comes from the token: sessions outlive a restart, and a new token ends them all.
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
        """Whether people have to sign in."""
        return self._token is not None

    def matches(self, token: str) -> bool:
        """Whether it is the token; how long this takes says nothing of it."""
        return self._token is not None and hmac.compare_digest(self._token, _digest(token))

    def issue(self) -> str:
        """A new session, as the value of a cookie."""
        facts = f"{int(self._clock()) + LIFETIME}.{secrets.token_urlsafe(16)}"
        return f"{facts}.{self._signature(facts)}"

    def valid(self, cookie: str | None) -> bool:
        """Whether the cookie is one of ours, and still good; always, where none is required."""
        if not self.required:
            return True
        facts, _, signature = (cookie or "").rpartition(".")
        if not hmac.compare_digest(self._signature(facts).encode(), signature.encode()):
            return False
        return self._clock() < int(facts.partition(".")[0])

    def _signature(self, facts: str) -> str:
        return hmac.new(self._key, facts.encode(), hashlib.sha256).hexdigest()


class Throttle:
    """Counts the wrong tokens of each address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until the address may try again; 0 if now."""
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
