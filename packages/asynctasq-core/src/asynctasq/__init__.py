"""AsyncTasQ: an async-first distributed task queue."""
