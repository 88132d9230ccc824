"""The management API, where one is given: the names of queues, and what is held."""

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

#: Seconds in which the API must answer.
LIMIT = 10.0


class Management:
    """Asks the management API of one virtual host."""

    def __init__(self, url: URL, vhost: str) -> None:
        self._location = str(url.with_user(None))
        path = f"/api/queues/{quote(vhost, safe='')}?columns=name,messages_unacknowledged"
        self._url = str(url.with_user(None)).rstrip("/") + path
        credentials = f"{url.user or ''}:{url.password or ''}".encode()
        self._authorization = "Basic " + b64encode(credentials).decode()

    async def held(self) -> Mapping[str, int]:
        """The broker's queues, each with how many of its messages are held; some seconds old."""
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
            raise self._unreachable("its answer is no list of queues") from error

    def _unreachable(self, why: str) -> BrokerUnavailable:
        return BrokerUnavailable(f"cannot reach the management API at {self._location}: {why}")

    def _refused(self, error: HTTPError) -> BrokerError:
        code, where = error.code, f"the management API at {self._location}"
        if 300 <= code < 400:
            target = _host(error.headers.get("Location", ""))
            return BrokerRejected(
                f"{where} redirects to {target}, which is not followed, for it would be sent the"
                " credentials; set rabbitmq_management_url to where the API is"
            )
        if code == 401:
            return BrokerRejected(
                f"{where} refuses the credentials;"
                " check rabbitmq_management_url, and that the user has the tag management"
            )
        if code == 404:
            return BrokerRejected(
                f"{where} knows no such virtual host;"
                " check rabbitmq_management_url and the path of rabbitmq_url"
            )
        if code < 500:
            return BrokerRejected(f"{where} refuses: HTTP {code}")
        return BrokerUnavailable(f"{where} fails: HTTP {code}")


def _opener() -> OpenerDirector:
    """Opens http and https URLs, without proxies and redirects: both would get credentials."""
    opener = OpenerDirector()
    for handler in (HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor):
        opener.add_handler(handler())
    return opener


def _host(location: str) -> str:
    """The host of a redirect, and nothing else of it: the rest may hold secrets."""
    try:
        return URL(location).host or "another address"
    except ValueError:
        return "another address"
