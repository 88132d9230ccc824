"""Acknowledging many messages in few frames."""

from types import SimpleNamespace

import pytest
from pamqp.frame import unmarshal

from asynctasq_rabbitmq.unacked import Unacked


def acknowledged(of: int, tags: list[int]) -> list[tuple[int, bool]]:
    """Return tag and ``multiple`` of each frame that acknowledges `tags` out of `of` messages."""
    unacked = Unacked(1)
    deliveries = [
        SimpleNamespace(tag=tag, subscription=SimpleNamespace(busy=1)) for tag in range(of)
    ]
    for held in deliveries:
        unacked.add(held)
    data = unacked.remove([deliveries[tag] for tag in tags])
    assert len(unacked) == of - len(tags)
    assert [one.subscription.busy for one in deliveries] == [
        int(tag not in tags) for tag in range(of)
    ]
    frames = []
    while data:
        size, _, frame = unmarshal(data)
        frames.append((frame.delivery_tag, frame.multiple))
        data = data[size:]
    return frames


@pytest.mark.parametrize(
    ("tags", "frames"),
    [
        ([0, 1, 2], [(2, True)]),
        ([4, 3, 2, 1, 0], [(4, True)]),
        ([1], [(1, False)]),
        ([0, 2, 4], [(0, True), (2, False), (4, False)]),
        ([1, 2], [(1, False), (2, False)]),
        ([], []),
    ],
)
def test_the_first_are_acknowledged_together(tags, frames) -> None:
    assert acknowledged(5, tags) == frames


def test_what_is_gone_is_acknowledged_once() -> None:
    unacked = Unacked(1)
    held = SimpleNamespace(tag=7, subscription=SimpleNamespace(busy=1))
    unacked.add(held)
    assert unacked.remove([held])
    assert unacked.remove([held]) == b""
