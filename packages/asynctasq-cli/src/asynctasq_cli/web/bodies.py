"""Reads request bodies: JSON objects of limited size."""

import json
from typing import Any, cast

from starlette.requests import Request

from asynctasq_cli.web.responses import refuse

#: Longest request body, in bytes.
MAX_BODY = 256 * 1024


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body; refuses anything else."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            refuse(413, f"the request is longer than {MAX_BODY} bytes")
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        refuse(400, "the request must be a JSON object")
    if not _is_encodable(value) or not isinstance(value, dict):
        refuse(400, "the request must be a JSON object")
    return cast(dict[str, Any], value)


def _is_encodable(value: object) -> bool:
    """Whether all text can be encoded: JSON escapes can be lone surrogates."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
