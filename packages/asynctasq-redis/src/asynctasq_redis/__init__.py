"""The Redis and Valkey driver of AsyncTasQ."""
