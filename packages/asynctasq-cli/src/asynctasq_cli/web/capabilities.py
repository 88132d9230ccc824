"""The data of the pages: what the broker supports, and snapshots as JSON."""

from dataclasses import asdict, dataclass

from asynctasq import Config
from asynctasq.drivers import BaseDriver, Control, Inspector, State, Workers
from asynctasq_cli.web.history import History
from asynctasq_cli.web.responses import as_json
from asynctasq_cli.web.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of the broker and the dashboard; pages offer nothing else.

    Attributes:
        actions: whether the dashboard can change queues and messages.
        sessions: whether users have to sign in.
        states: the states whose messages can be read.
        pause, workers: whether the broker can pause queues, and lists its workers.
        scans_everything: whether reading any message costs as much as reading all.
        exact: whether counts are exact; otherwise they lag by seconds.
    """

    driver: str
    location: str
    actions: bool
    sessions: bool
    states: tuple[str, ...]
    pause: bool
    workers: bool
    scans_everything: bool
    exact: bool


def capabilities_of(
    config: Config, driver: BaseDriver, *, actions: bool, sessions: bool
) -> Capabilities:
    """Return the capabilities of a driver, which need not be connected."""
    states = driver.limits.inspects if isinstance(driver, Inspector) else frozenset[State]()
    return Capabilities(
        driver=config.driver,
        location=config.driver_settings.location(),
        actions=actions,
        sessions=sessions,
        states=tuple(state.value for state in State if state in states),
        pause=isinstance(driver, Control),
        workers=isinstance(driver, Workers),
        scans_everything=State.READY not in states,
        exact=driver.limits.exact_counts,
    )


def render(snapshot: Snapshot, history: History) -> bytes:
    """Render a snapshot as JSON."""
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
            "workers": [{**asdict(info), "heard": age} for info, age in snapshot.workers],
            "note": snapshot.note,
        }
    )
