"""From a delivery to its outcome: reads it, runs it, and decides what becomes of it."""
