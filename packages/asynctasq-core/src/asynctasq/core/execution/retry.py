"""Retry policies: whether a failed attempt is retried, and when."""

import random
from dataclasses import dataclass

from asynctasq.config import Config
from asynctasq.errors import WorkerDied
from asynctasq.serialization.envelope import Envelope
from asynctasq.tasks.options import Exceptions, TaskOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The retry policy of one call; delays in seconds, see `TaskOptions` for the fields."""

    max_attempts: int
    delay: float
    exponential: bool = True
    max_delay: float = 3600.0
    retry_on: Exceptions = (BaseException,)
    give_up_on: Exceptions = ()

    def allows(self, attempt: int, exception: BaseException) -> bool:
        """Whether another attempt is allowed after this one."""
        if attempt >= self.max_attempts or isinstance(exception, self.give_up_on):
            return False
        return isinstance(exception, self.retry_on)

    def next_delay(self, attempt: int) -> float:
        """Returns the seconds to wait after `attempt`.

        Exponential back-off has "full jitter": a random part of the doubled delay, so that
        calls which failed together are not retried together (Brooker, "Exponential Backoff
        And Jitter", AWS Architecture Blog, 2015).
        """
        if not self.exponential:
            return min(self.delay, self.max_delay)
        doubled = self.delay * 2.0 ** min(attempt - 1, 60)
        return random.uniform(0.0, min(doubled, self.max_delay))


#: For messages this worker cannot read yet, for example during a deployment: about ten minutes in
#: total, during which a newer worker may take them.
NOT_KNOWN_YET = RetryPolicy(max_attempts=10, delay=5.0, max_delay=300.0)


def workers_died(attempt: int, max_attempts: int) -> WorkerDied:
    """Returns the error of a message that was delivered more often than it may run."""
    return WorkerDied(
        f"delivered {attempt} times, allowed are {max_attempts} attempts: its workers died, "
        "or lost their leases, while it ran"
    )


def attempts_for(options: TaskOptions, envelope: Envelope, config: Config) -> int:
    """Returns the allowed attempts of a call: its own, else its task's, else the configured."""
    return envelope.max_attempts or options.max_attempts or config.default_max_attempts


def policy_for(options: TaskOptions, envelope: Envelope, config: Config) -> RetryPolicy:
    """Returns the retry policy of a call: its own, else its task's, else the configured."""
    delay = _first(envelope.retry_delay, options.retry_delay, config.default_retry_delay)
    strategy = options.retry_strategy or config.default_retry_strategy
    return RetryPolicy(
        max_attempts=attempts_for(options, envelope, config),
        delay=delay,
        exponential=strategy == "exponential",
        max_delay=options.retry_max_delay,
        retry_on=options.retry_on,
        give_up_on=options.give_up_on,
    )


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)
