"""The size of a search, and whether it is repeatable."""

import os

from hypothesis import HealthCheck, settings

#: The environment variable for the number of examples; it also makes each run different.
VARIABLE = "ASYNCTASQ_TEST_EXAMPLES"


def profile(examples: int, *, steps: int = 30) -> settings:
    """Return the settings of a search.

    Args:
        examples: the number of sequences, unless `VARIABLE` is set.
        steps: the maximum number of calls in a sequence.
    """
    longer = os.environ.get(VARIABLE)
    return settings(
        max_examples=int(longer) if longer else examples,
        stateful_step_count=steps,
        derandomize=not longer,
        database=None,
        deadline=None,  # a shared machine may be slow at times
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],
    )
