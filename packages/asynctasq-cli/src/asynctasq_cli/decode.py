"""Decodes the body of a stored message for display."""

import json
from typing import Any

from asynctasq import Config, MsgpackSerializer
from asynctasq.drivers import StoredMessage
from asynctasq.errors import SerializationError
from asynctasq.serialization.envelope import codec_of
from asynctasq_cli.discovery import open_application

#: Bytes of a body that are shown when it cannot be read.
SHOWN = 2000


def call_in(config: Config, message: StoredMessage) -> dict[str, Any]:
    """Return task, arguments and correlation id, or the reason and bytes of an unreadable body."""
    open_application(config.imports)  # arguments may be of the application's types
    try:
        envelope = codec_of(MsgpackSerializer(), config.signing_keys).decode(message.body)
    except SerializationError as error:
        return {"task": None, **_as_bytes(message, str(error))}
    arguments = {"args": list(envelope.args), "kwargs": dict(envelope.kwargs)}
    if not _can_be_shown(arguments):
        arguments = _as_bytes(message, "the arguments are nested too deeply to be shown")
    return {"task": envelope.task, **arguments, "correlation_id": envelope.correlation_id}


def task_in(config: Config, message: StoredMessage) -> str | None:
    """Return the task's name; None if the body cannot be read."""
    open_application(config.imports)
    try:
        return codec_of(MsgpackSerializer(), config.signing_keys).decode(message.body).task
    except SerializationError:
        return None


def _as_bytes(message: StoredMessage, reason: str) -> dict[str, Any]:
    return {"unreadable": reason, "body": repr(message.body[:SHOWN])}


def _can_be_shown(arguments: dict[str, Any]) -> bool:
    """Whether Python can print the arguments: decoding allows deeper nesting than printing."""
    try:
        json.dumps(arguments, indent=2, default=str)
        repr(arguments)
    except RecursionError:
        return False
    except (TypeError, ValueError):  # such as keys that JSON does not support
        return True
    return True
