"""Ids of messages."""

import time
import uuid

from asynctasq.core.producer.message_id import new_message_id


def test_an_id_is_a_uuid_of_version_7_made_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_message_id())
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_an_id_is_written_as_uuids_are() -> None:
    one = new_message_id()
    assert str(uuid.UUID(one)) == one


def test_all_ids_differ() -> None:
    assert len({new_message_id() for _ in range(10_000)}) == 10_000
