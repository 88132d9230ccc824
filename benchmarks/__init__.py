"""Side by side with other queues: ``python -m benchmarks redis``."""
