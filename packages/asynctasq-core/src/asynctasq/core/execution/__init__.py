"""Execution: reads deliveries, runs their tasks, and decides their outcomes."""
