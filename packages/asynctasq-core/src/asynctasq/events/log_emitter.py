"""An emitter that logs events."""

import logging

from asynctasq.events.records import Event

logger = logging.getLogger("asynctasq.events")

#: Fields that formatters show beside the message, or that are in the record anyway.
_BESIDE = {"event", "time", "task_name", "task_id", "queue", "attempt"}


class LoggingEmitter:
    """Logs each event at INFO on ``asynctasq.events``, with its values as fields of the record."""

    async def emit(self, event: Event) -> None:
        """Log one event."""
        if not logger.isEnabledFor(logging.INFO):
            return
        values = event.as_dict()
        del values["time"]  # the log record has its own time
        words = [str(values.get("task_name", ""))] if "task_name" in values else []
        words += [f"{name}={value}" for name, value in values.items() if name not in _BESIDE]
        logger.info("%s %s", event.kind, " ".join(words), extra=values)


#: The emitter of ``--emit logging``.
emitter = LoggingEmitter()
