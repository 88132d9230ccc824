"""Renders stored messages for the pages: rows of a list, and the details of one."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from asynctasq import Config
from asynctasq.drivers import StoredMessage
from asynctasq_cli.decode import SHOWN, call_in
from asynctasq_cli.selection import error_of

#: Characters of a call and of an error: shown in a list, and shown on a task's page.
SHORT, LONG = 160, 50_000


async def rows(config: Config, messages: Sequence[StoredMessage]) -> list[dict[str, object]]:
    """Return messages as rows of a list."""
    return await asyncio.to_thread(lambda: [_row(config, message) for message in messages])


async def details(config: Config, message: StoredMessage) -> dict[str, object]:
    """Return all details of a message."""
    return await asyncio.to_thread(_details, config, message)


def _row(config: Config, message: StoredMessage) -> dict[str, object]:
    call = _read(config, message)
    return {
        **_facts(message),
        **call,
        "call": _cut(call["call"], SHORT),
        "error": _cut(error_of(message), SHORT),
    }


def _details(config: Config, message: StoredMessage) -> dict[str, object]:
    call = _read(config, message)
    return {
        **_facts(message),
        **call,
        "call": _cut(call["call"], LONG),
        "bytes": len(message.body),
        "error": error_of(message),
        "note": _cut(message.note, LONG),
    }


def _facts(message: StoredMessage) -> dict[str, object]:
    return {
        "id": message.id,
        "queue": message.queue,
        "state": message.state.value,
        "attempts": message.attempt,
        "seconds": message.seconds,
    }


def _read(config: Config, message: StoredMessage) -> dict[str, Any]:
    """Return the task and its arguments as Python literals, or the reason they are unreadable."""
    try:
        found = call_in(config, message)
        call = _as_literals(found)
    except Exception as error:  # noqa: BLE001 - repr of the application's types may raise anything
        reason = f"repr of the arguments raises {type(error).__name__}"
        found, call = {"unreadable": reason}, repr(message.body[:SHOWN])
    return {
        "task": found.get("task"),
        "call": call,
        "unreadable": found.get("unreadable"),
        "correlation_id": found.get("correlation_id"),
    }


def _as_literals(call: Mapping[str, Any]) -> str:
    if "args" not in call:
        return call["body"]
    words = [repr(value) for value in call["args"]]
    return ", ".join(words + [f"{name}={value!r}" for name, value in call["kwargs"].items()])


def _cut(text: str, length: int) -> str:
    left = len(text) - length
    return text if left <= 0 else f"{text[:length]}… and {left} characters more"
