"""How long a search goes on, and whether it is the same each time."""

import os

from hypothesis import HealthCheck, settings

#: Set to a number, it makes searches longer, and each run another one.
VARIABLE = "ASYNCTASQ_TEST_EXAMPLES"


def profile(examples: int, *, steps: int = 30) -> settings:
    """Settings of a search.

    Args:
        examples: how many are tried, unless the environment says otherwise.
        steps: calls in a sequence, at most.
    """
    longer = os.environ.get(VARIABLE)
    return settings(
        max_examples=int(longer) if longer else examples,
        stateful_step_count=steps,
        derandomize=not longer,
        database=None,
        deadline=None,  # a shared machine has moments
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],
    )
