"""The contract suite for drivers, faults that it catches, and tools for users' own tests."""
