"""How a program is run."""
