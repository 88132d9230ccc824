"""What the dashboard answers with: JSON, and one line for what went wrong."""

import json
from typing import NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from asynctasq.errors import AsyncTasQError, BrokerRejected, BrokerUnavailable, ConfigError


def as_json(value: object) -> bytes:
    """JSON in ASCII, on one line: there is no text that it cannot carry."""
    return json.dumps(value, separators=(",", ":")).encode()


class JSON(Response):
    """An answer in JSON."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """See `as_json`."""
        return as_json(content)


def refuse(status: int, why: str) -> NoReturn:
    """End a request with one line that says what to do."""
    raise HTTPException(status, why)


def on_http_error(request: Request, error: Exception) -> Response:
    """The answer for what was refused."""
    assert isinstance(error, HTTPException)
    return JSON({"error": error.detail}, error.status_code, headers=error.headers)


def on_our_error(request: Request, error: Exception) -> Response:
    """The answer for what AsyncTasQ refused, or the broker."""
    assert isinstance(error, AsyncTasQError)
    return JSON({"error": str(error)}, _status(error))


def _status(error: AsyncTasQError) -> int:
    if isinstance(error, BrokerUnavailable):
        return 503
    return 409 if isinstance(error, (BrokerRejected, ConfigError)) else 500
