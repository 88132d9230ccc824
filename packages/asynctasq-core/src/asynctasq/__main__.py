"""``python -m asynctasq`` runs the ``asynctasq`` command, which is in another distribution."""

import sys
from importlib.metadata import entry_points


def main() -> int:
    """Run the command, or print how to install it."""
    for command in entry_points(group="console_scripts", name="asynctasq"):
        run = command.load()
        return run()
    sys.stderr.write("the asynctasq command is not installed: pip install asynctasq\n")
    return 2


if __name__ == "__main__":  # a spawned process imports this file, too
    sys.exit(main())
