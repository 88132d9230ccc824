"""The contract suite, faults, and tools for users' own tests."""
