"""The asynctasq command."""
