"""Formats an exception in one line or with its traceback, as text that any broker can store."""

import traceback
from pathlib import Path
from types import TracebackType

LINE_LIMIT = 500
NOTE_LIMIT = 16_000

_PACKAGE = str(Path(__file__).parents[1])


def one_line(error: BaseException) -> str:
    """Returns the type and the first line of the message."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception's own text may fail in any way
        text = "(no message: __str__ failed)"
    text = _storable(text.strip().split("\n", 1)[0])
    if len(text) > LINE_LIMIT:
        text = f"{text[:LINE_LIMIT]}[…]"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def note(error: BaseException) -> str:
    """Returns the error with its traceback; a long one keeps the innermost frames."""
    text = _storable("".join(traceback.format_exception(*for_people(error))))
    if len(text) > NOTE_LIMIT:
        text = f"[…]{text[-NOTE_LIMIT:]}"
    return f"{one_line(error)}\n\n{text}"


def _storable(text: str) -> str:
    """Escapes the characters that some brokers cannot store: lone surrogates and NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def for_people(
    error: BaseException,
) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """Returns the error and its traceback without the engine's frames at the start."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return type(error), error, trace
