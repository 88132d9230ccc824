"""The management API: the names of queues, and the number of their unacknowledged messages."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)

from yarl import URL

from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable

#: Timeout in seconds.
LIMIT = 10.0


class Management:
    """A client of the management API for one virtual host."""

    def __init__(self, url: URL, vhost: str) -> None:
        self._location = str(url.with_user(None))
        path = f"/api/queues/{quote(vhost, safe='')}?columns=name,messages_unacknowledged"
        self._url = str(url.with_user(None)).rstrip("/") + path
        credentials = f"{url.user or ''}:{url.password or ''}".encode()
        self._authorization = "Basic " + b64encode(credentials).decode()

    async def held(self) -> Mapping[str, int]:
        """Return the number of unacknowledged messages by queue; it lags by seconds."""
        try:
            async with asyncio.timeout(LIMIT):
                answer = await asyncio.to_thread(self._get)
        except TimeoutError:
            raise self._unreachable("no answer in time") from None
        return self._counts(answer)

    def _get(self) -> object:
        request = Request(self._url, headers={"Authorization": self._authorization})
        try:
            with _opener().open(request, timeout=LIMIT) as response:
                return json.load(response)
        except HTTPError as error:
            with error:
                raise self._refused(error) from error
        except (HTTPException, OSError, ValueError, RecursionError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise self._unreachable(str(reason).partition("\n")[0] or "no answer") from error

    def _counts(self, answer: object) -> Mapping[str, int]:
        try:
            rows = cast(Sequence[Mapping[str, str]], answer)
            return {str(row["name"]): int(row.get("messages_unacknowledged") or 0) for row in rows}
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise self._unreachable("the response is not a list of queues") from error

    def _unreachable(self, reason: str) -> BrokerUnavailable:
        return BrokerUnavailable(f"cannot reach the management API at {self._location}: {reason}")

    def _refused(self, error: HTTPError) -> BrokerError:
        code, api = error.code, f"the management API at {self._location}"
        if 300 <= code < 400:
            target = _host(error.headers.get("Location", ""))
            return BrokerRejected(
                f"{api} redirects to {target}, which is not followed, because it would receive the"
                " credentials; set rabbitmq_management_url to the address of the API"
            )
        if code == 401:
            return BrokerRejected(
                f"{api} refuses the credentials;"
                " check rabbitmq_management_url, and that the user has the tag management"
            )
        if code == 404:
            return BrokerRejected(
                f"{api} has no such virtual host;"
                " check rabbitmq_management_url and the path of rabbitmq_url"
            )
        if code < 500:
            return BrokerRejected(f"{api} refuses: HTTP {code}")
        return BrokerUnavailable(f"{api} fails: HTTP {code}")


def _opener() -> OpenerDirector:
    """Return an opener without proxies and redirects: both would receive the credentials."""
    opener = OpenerDirector()
    for handler in (HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor):
        opener.add_handler(handler())
    return opener


def _host(location: str) -> str:
    """Return only the host of a redirect: the remaining URL may hold secrets."""
    try:
        return URL(location).host or "another address"
    except ValueError:
        return "another address"
