"""Bodies of requests: JSON, and not too long."""

import json
from typing import Any, cast

from starlette.requests import Request

from asynctasq_cli.web.responses import refuse

#: Bytes.
LONGEST = 256 * 1024


async def json_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body; anything else is refused."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            refuse(413, f"the request is longer than {LONGEST} bytes")
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        refuse(400, "the request must be a JSON object")
    if not _has_characters(value) or not isinstance(value, dict):
        refuse(400, "the request must be a JSON object")
    return cast(dict[str, Any], value)


def _has_characters(value: object) -> bool:
    """Whether all its text can be stored: JSON can name halves of characters."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
