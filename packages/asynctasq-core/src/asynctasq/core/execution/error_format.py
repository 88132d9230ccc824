"""An error as text: in one line, or with its traceback, and such that any broker can store it."""

import traceback
from pathlib import Path
from types import TracebackType

LINE_LIMIT = 500
NOTE_LIMIT = 16_000

_PACKAGE = str(Path(__file__).parents[1])


def one_line(error: BaseException) -> str:
    """The type and the first line of what an error says."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception's own text may fail in any way
        text = "(it has no text: its __str__ fails)"
    text = _storable(text.strip().split("\n", 1)[0])
    if len(text) > LINE_LIMIT:
        text = f"{text[:LINE_LIMIT]}[…]"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def note(error: BaseException) -> str:
    """The error with its traceback, the innermost frames kept if it is long."""
    text = _storable("".join(traceback.format_exception(*for_people(error))))
    if len(text) > NOTE_LIMIT:
        text = f"[…]{text[-NOTE_LIMIT:]}"
    return f"{one_line(error)}\n\n{text}"


def _storable(text: str) -> str:
    """The text without what some broker cannot store: lone surrogates and NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def for_people(
    error: BaseException,
) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """The error and its traceback without the engine's frames, which start every one."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return type(error), error, trace
