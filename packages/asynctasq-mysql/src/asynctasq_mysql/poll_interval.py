"""The pause between two polls: MySQL sends no notification of messages from other processes."""

import random

#: Seconds between two polls while there is work.
SHORTEST = 0.025
#: Seconds between two polls when idle: at most five statements a second.
LONGEST = 0.2
#: Random share added to a pause, so that workers do not poll in step.
JITTER = 0.1


class PollInterval:
    """A pause that doubles from poll to poll until a message is found."""

    def __init__(self) -> None:
        self._pause = SHORTEST

    def reset(self) -> None:
        """Start again with the shortest pause."""
        self._pause = SHORTEST

    def next(self) -> float:
        """Return the seconds until the next poll."""
        pause = self._pause
        self._pause = min(LONGEST, pause * 2)
        return pause * random.uniform(1.0, 1.0 + JITTER)
