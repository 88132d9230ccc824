"""What pages are told: the broker, what can be done with it, and each snapshot."""

from dataclasses import asdict, dataclass

from asynctasq import Config
from asynctasq.drivers import BaseDriver, Control, Inspector, State, WorkerInfo, Workers
from asynctasq_cli.web.history import History
from asynctasq_cli.web.responses import as_json
from asynctasq_cli.web.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Facts:
    """The broker and what pages may show of it; they offer nothing else.

    Attributes:
        actions: whether anything can be changed.
        sessions: whether people sign in.
        states: those whose messages can be looked at.
        pause, workers: whether the broker can pause queues, and knows its workers.
        whole: each look at messages costs the broker as much as a look at all.
        exact: counts do not lag.
    """

    driver: str
    location: str
    actions: bool
    sessions: bool
    states: tuple[str, ...]
    pause: bool
    workers: bool
    whole: bool
    exact: bool


def facts_of(config: Config, driver: BaseDriver, *, actions: bool, sessions: bool) -> Facts:
    """The facts of a driver, which need not be connected."""
    states = driver.limits.inspects if isinstance(driver, Inspector) else frozenset[State]()
    return Facts(
        driver=config.driver,
        location=config.driver_settings.location(),
        actions=actions,
        sessions=sessions,
        states=tuple(state.value for state in State if state in states),
        pause=isinstance(driver, Control),
        workers=isinstance(driver, Workers),
        whole=State.READY not in states,
        exact=driver.limits.exact_counts,
    )


def render(snapshot: Snapshot, history: History) -> bytes:
    """A snapshot as JSON."""
    return as_json(
        {
            "queues": [
                {
                    **asdict(stats),
                    "paused": stats.queue in snapshot.paused,
                    "rate": history.rate(stats.queue),
                    "history": history.counts(stats.queue),
                }
                for stats in snapshot.queues
            ],
            "workers": [_worker(info, heard) for info, heard in snapshot.workers],
            "note": snapshot.note,
        }
    )


def _worker(info: WorkerInfo, heard: float) -> dict[str, object]:
    return {**asdict(info), "heard": heard}
