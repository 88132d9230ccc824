"""How calls become message bodies."""
