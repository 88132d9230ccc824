"""The seam between the engine and its brokers."""

from asynctasq.drivers.base_driver import (
    BaseDriver,
    Delivery,
    Limits,
    Message,
    Outcome,
    Settlement,
)
from asynctasq.drivers.capabilities.control import Control
from asynctasq.drivers.capabilities.diagnostics import Diagnostics, Finding, Level
from asynctasq.drivers.capabilities.inspector import Inspector
from asynctasq.drivers.capabilities.migrator import Migrator
from asynctasq.drivers.capabilities.transactional_enqueue import TransactionalEnqueue
from asynctasq.drivers.capabilities.workers import WorkerInfo, Workers
from asynctasq.drivers.settings import DriverSettings
from asynctasq.drivers.stored import QueueStats, State, StoredMessage

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
