"""Formats log records: lines for people, or JSON objects for machines."""

import json
import logging
import sys
import time
from collections.abc import Sequence

from asynctasq.tasks.context import current_context, running_task
from asynctasq_cli.output import printable

LEVELS = ("debug", "info", "warning", "error")

#: Attributes of every record; all others were given as ``extra``.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime"}


#: Task fields shown in text lines, and their names there.
_SHOWN = {"task_id": "id", "queue": "queue", "attempt": "attempt"}


class TaskFields(logging.Filter):
    """Adds the task's fields to every record that is logged inside a task."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add missing fields; never drop a record."""
        if not hasattr(record, "task_id") and running_task.get(None) is not None:
            context = current_context()
            record.task_name, record.task_id = context.name, context.id
            record.queue, record.attempt = context.queue, context.attempt
            if context.correlation_id is not None:
                record.correlation_id = context.correlation_id
        return True


class TextFormatter(logging.Formatter):
    """``12:00:01 INFO  message id=… queue=… attempt=…``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, followed by the traceback if there is one."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{clock} {record.levelname:<7} {record.getMessage()}"
        if hasattr(record, "task_id"):
            values = vars(record)
            line += "".join(f" {short}={values[n]}" for n, short in _SHOWN.items() if n in values)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        # lines of asynctasq quote messages and errors, which may hold control characters
        return printable(line) if record.name.startswith("asynctasq") else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line, with the record's ``extra`` attributes."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as an object."""
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        entry: dict[str, object] = {
            **extra,
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure_logging(level: str, log_format: str, silenced: Sequence[str] = ()) -> None:
    """Log to standard error at `level`; asyncio at warning or above, `silenced` hardly at all.

    The process pool of a worker also calls this in each of its processes.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    handler.addFilter(TaskFields())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(max(logging.WARNING, logging.getLogger().level))
    for library in silenced:
        logging.getLogger(library).setLevel(logging.CRITICAL)
