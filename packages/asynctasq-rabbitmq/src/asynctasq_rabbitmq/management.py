"""The management API, where one is given: the names of queues, and what is held."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from yarl import URL

from asynctasq.errors import BrokerRejected, BrokerUnavailable

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
        rows = await asyncio.to_thread(self._get)
        return {str(row["name"]): int(row.get("messages_unacknowledged") or 0) for row in rows}

    def _get(self) -> Sequence[Mapping[str, str]]:
        request = Request(self._url, headers={"Authorization": self._authorization})
        try:
            with urlopen(request, timeout=LIMIT) as response:  # http or https: settings see to it
                return cast(Sequence[Mapping[str, str]], json.load(response))
        except HTTPError as error:
            with error:
                raise self._refused(error.code) from error
        except (URLError, OSError, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise BrokerUnavailable(
                f"cannot reach the management API at {self._location}: {reason or 'no answer'}"
            ) from error

    def _refused(self, code: int) -> BrokerRejected | BrokerUnavailable:
        if code == 401:
            return BrokerRejected(
                f"the management API at {self._location} refuses the credentials;"
                " check rabbitmq_management_url, and that the user has the tag management"
            )
        if code == 404:
            return BrokerRejected(
                f"the management API at {self._location} knows no such virtual host;"
                " check rabbitmq_management_url and the path of rabbitmq_url"
            )
        if code < 500:
            return BrokerRejected(f"the management API at {self._location} refuses: HTTP {code}")
        return BrokerUnavailable(f"the management API at {self._location} fails: HTTP {code}")
