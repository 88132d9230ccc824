"""Metrics of a worker for Prometheus; needs the extra ``asynctasq[prometheus]``."""

from asynctasq.errors import ConfigError

try:
    from asynctasq.prometheus.metrics import Metrics
    from asynctasq.prometheus.server import MetricsServer
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "prometheus_client":
        raise
    raise ConfigError("metrics are not installed: pip install 'asynctasq[prometheus]'") from error

__all__ = ["Metrics", "MetricsServer"]
