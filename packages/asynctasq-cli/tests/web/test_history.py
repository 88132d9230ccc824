"""The rate of change of a queue."""

import pytest

from asynctasq.drivers import QueueStats
from asynctasq_cli.web.history import DEPTH, WINDOW, History


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def stats(ready: int, queue: str = "q") -> QueueStats:
    return QueueStats(queue, ready=ready, delayed=None, running=2, dead=5, oldest=None)


def filled(*polls: tuple[float, int]) -> History:
    clock = Clock()
    history = History(clock)
    for clock.now, ready in polls:
        history.add([stats(ready)])
    return history


def test_one_poll_has_no_rate() -> None:
    assert filled((0, 10)).rate("q") is None
    assert filled().rate("q") is None


def test_the_rate_is_per_second() -> None:
    assert filled((0, 10), (2, 30)).rate("q") == 10
    assert filled((0, 30), (2, 10), (4, 10)).rate("q") == -5


def test_old_polls_do_not_count() -> None:
    polls = [(0.0, 1000), *((100.0 + n, 10 + n) for n in range(int(WINDOW) + 5))]
    assert filled(*polls).rate("q") == pytest.approx(1)


def test_polls_further_apart_than_the_window_are_compared() -> None:
    assert filled((0, 0), (60, 120)).rate("q") == 2


def test_dead_messages_are_not_unfinished_and_old_polls_are_dropped() -> None:
    history = filled(*((float(n), n) for n in range(DEPTH + 3)))
    assert history.counts("q") == [n + 2 for n in range(3, DEPTH + 3)]


def test_a_missing_queue_is_dropped() -> None:
    history = History(Clock())
    history.add([stats(1)])
    history.add([stats(1, "other")])
    assert history.counts("q") == []
    assert history.counts("other") == [3]
