"""Events as lines of the log."""

import logging

from asynctasq.events.records import Event

logger = logging.getLogger("asynctasq.events")

#: What the formatters show beside the message, or the record knows anyway.
_BESIDE = {"event", "time", "task_name", "task_id", "queue", "attempt"}


class LoggingEmitter:
    """Logs each event at INFO on ``asynctasq.events``; what it says is in the record's fields."""

    async def emit(self, event: Event) -> None:
        """Log one event."""
        if not logger.isEnabledFor(logging.INFO):
            return
        values = event.as_dict()
        del values["time"]  # the record has its own, and JSON would have two
        words = [str(values.get("task_name", ""))] if "task_name" in values else []
        words += [f"{name}={value}" for name, value in values.items() if name not in _BESIDE]
        logger.info("%s %s", event.kind, " ".join(words), extra=values)


#: What ``--emit logging`` switches on.
emitter = LoggingEmitter()
