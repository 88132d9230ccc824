"""How long to wait between two looks at the tables: nobody tells us of messages from elsewhere."""

import random

#: Seconds between two looks while there is work.
SHORTEST = 0.025
#: Seconds between two looks after a while without: five statements a second at most.
LONGEST = 0.2
#: Part of a pause by which it may be longer, so that workers do not look all at once.
JITTER = 0.1


class Pace:
    """Pauses that double from look to look until there is something."""

    def __init__(self) -> None:
        self._pause = SHORTEST

    def quicken(self) -> None:
        """Begin with short pauses again."""
        self._pause = SHORTEST

    def pause(self) -> float:
        """Seconds until the next look."""
        pause = self._pause
        self._pause = min(LONGEST, pause * 2)
        return pause * random.uniform(1.0, 1.0 + JITTER)
