"""The contract suite for drivers, the planted faults it catches, and tools for users' tests."""
