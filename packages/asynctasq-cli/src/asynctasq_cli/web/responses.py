"""The dashboard's responses: JSON, and one line for an error."""

import json
from typing import NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from asynctasq.errors import AsyncTasQError, BrokerRejected, BrokerUnavailable, ConfigError


def as_json(value: object) -> bytes:
    """Encode as JSON in ASCII, on one line; escapes make any text valid."""
    return json.dumps(value, separators=(",", ":")).encode()


class JSON(Response):
    """A response in JSON."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """See `as_json`."""
        return as_json(content)


def refuse(status: int, reason: str) -> NoReturn:
    """End a request with an error of one line."""
    raise HTTPException(status, reason)


def on_http_error(request: Request, error: Exception) -> Response:
    """Return the response for `refuse`."""
    assert isinstance(error, HTTPException)
    return JSON({"error": error.detail}, error.status_code, headers=error.headers)


def on_asynctasq_error(request: Request, error: Exception) -> Response:
    """Return the response for an error of AsyncTasQ or of the broker."""
    assert isinstance(error, AsyncTasQError)
    return JSON({"error": str(error)}, _status(error))


def _status(error: AsyncTasQError) -> int:
    if isinstance(error, BrokerUnavailable):
        return 503
    return 409 if isinstance(error, (BrokerRejected, ConfigError)) else 500
