"""From a call of a task to a stored message."""
