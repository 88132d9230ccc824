"""Failures of production, injected into brokers and workers, and their cost."""
