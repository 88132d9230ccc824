"""The seam between the engine and its brokers."""

from asynctasq.drivers.abilities import (
    Inspector,
    QueueStats,
    State,
    StoredMessage,
    WorkerInfo,
    Workers,
)
from asynctasq.drivers.base_driver import (
    BaseDriver,
    Delivery,
    Limits,
    Message,
    Outcome,
    Settlement,
)
from asynctasq.drivers.settings import DriverSettings

__all__ = [
    "BaseDriver",
    "Delivery",
    "DriverSettings",
    "Inspector",
    "Limits",
    "Message",
    "Outcome",
    "QueueStats",
    "Settlement",
    "State",
    "StoredMessage",
    "WorkerInfo",
    "Workers",
]
