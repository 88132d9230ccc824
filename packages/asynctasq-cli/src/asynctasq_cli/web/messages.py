"""Stored messages for pages: a page of them, and one with everything."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from asynctasq import Config
from asynctasq.drivers import StoredMessage
from asynctasq_cli.decode import SHOWN, call_in
from asynctasq_cli.selection import error_of

#: Characters of a call and of an error that a list shows, and of each that a page shows.
SHORT, LONG = 160, 50_000


async def rows(config: Config, messages: Sequence[StoredMessage]) -> list[dict[str, object]]:
    """Messages as they are listed."""
    return await asyncio.to_thread(lambda: [_row(config, message) for message in messages])


async def details(config: Config, message: StoredMessage) -> dict[str, object]:
    """Everything of one message."""
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
    """The task, its arguments as Python writes them, and why not."""
    try:
        found = call_in(config, message)
        call = _written(found)
    except Exception as error:  # noqa: BLE001 - arguments may be of the application's types
        why = f"writing down the arguments raises {type(error).__name__}"
        found, call = {"unreadable": why}, repr(message.body[:SHOWN])
    return {
        "task": found.get("task"),
        "call": call,
        "unreadable": found.get("unreadable"),
        "correlation_id": found.get("correlation_id"),
    }


def _written(call: Mapping[str, Any]) -> str:
    if "args" not in call:
        return call["body"]
    words = [repr(value) for value in call["args"]]
    return ", ".join(words + [f"{name}={value!r}" for name, value in call["kwargs"].items()])


def _cut(text: str, length: int) -> str:
    left = len(text) - length
    return text if left <= 0 else f"{text[:length]}… and {left} characters more"
