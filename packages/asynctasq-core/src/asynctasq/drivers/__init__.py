"""The seam between the engine and its brokers."""

from asynctasq.drivers.abilities import (
    Control,
    Diagnostics,
    Finding,
    Inspector,
    Level,
    Migrator,
    QueueStats,
    State,
    StoredMessage,
    TransactionalEnqueue,
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
    "Control",
    "Delivery",
    "Diagnostics",
    "DriverSettings",
    "Finding",
    "Inspector",
    "Level",
    "Limits",
    "Message",
    "Migrator",
    "Outcome",
    "QueueStats",
    "Settlement",
    "State",
    "StoredMessage",
    "TransactionalEnqueue",
    "WorkerInfo",
    "Workers",
]
