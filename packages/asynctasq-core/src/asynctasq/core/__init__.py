"""The engine: dispatches calls, runs them in workers, and settles their outcomes."""
