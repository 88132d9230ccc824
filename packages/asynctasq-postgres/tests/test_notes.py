"""Notes of dead messages in databases that do not have all characters."""

import asyncio
from collections.abc import Iterator

import pytest
from asyncpg.exceptions import UntranslatableCharacterError
from pydantic import SecretStr

from asynctasq.drivers import Message, Outcome, Settlement, State
from asynctasq_postgres import PostgresDriver, PostgresSettings
from asynctasq_postgres.notes import codec_of, writable

pytestmark = pytest.mark.anyio

NOTE = "é € Ж ☃ \U0001f600 plain"
#: What is left of it in each encoding of a database.
LEFT = {
    "UTF8": NOTE,
    "LATIN1": "é ? ? ? ? plain",
    "LATIN9": "é € ? ? ? plain",
    "WIN1252": "é € ? ? ? plain",
    "ISO_8859_5": "? ? Ж ? ? plain",
    "KOI8R": "? ? Ж ? ? plain",
    "SQL_ASCII": NOTE,
}


@pytest.fixture(params=LEFT)
def encoding(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def narrow(server, encoding: str) -> Iterator[PostgresDriver]:
    """A driver on a database with an encoding of its own."""
    name = f"in_{encoding.lower()}"
    server.ask(
        f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        " TEMPLATE template0"
    )
    dsn = SecretStr(f"{server.url.rpartition('/')[0]}/{name}")
    driver = PostgresDriver(PostgresSettings(postgres_dsn=dsn))
    asyncio.run(driver.migrate())
    yield driver
    server.ask(f"DROP DATABASE {name}")


async def test_a_note_that_does_not_fit_is_no_reason_to_refuse_an_outcome(
    narrow, encoding: str
) -> None:
    await narrow.connect()
    await narrow.enqueue([Message(str(number), "queue", b"body") for number in range(4)])
    held = await narrow.dequeue(["queue"], limit=4, lease=60, wait=0)
    outcomes = [Outcome.DEAD, Outcome.DONE, Outcome.RETRY, Outcome.DEAD]
    settlements = [
        Settlement(one, outcome, note=note)
        for one, outcome, note in zip(held, outcomes, [NOTE, "", "", "fits"], strict=True)
    ]
    assert list(await narrow.settle(settlements)) == []
    dead = await narrow.browse("queue", State.DEAD, limit=9)
    assert {one.id: (one.note, one.body) for one in dead} == {
        "0": (LEFT[encoding], b"body"),
        "3": ("fits", b"body"),
    }
    again = await narrow.dequeue(["queue"], limit=4, lease=60, wait=0)
    assert [(one.id, one.attempt, one.abandoned) for one in again] == [("2", 2, False)]
    assert list(await narrow.settle(settlements)) == held  # which are lost by now
    await narrow.disconnect()


def test_an_encoding_without_a_name_in_python_is_taken_for_ascii() -> None:
    assert codec_of("MULE_INTERNAL") == "ascii"
    assert writable("é \0 \ud800 plain", codec_of("EUC_TW")) == "? ? ? plain"
    assert writable("é \0 plain") == "é \N{REPLACEMENT CHARACTER} plain"


async def test_where_python_has_more_characters_than_the_database_ascii_is_left(
    driver, queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.enqueue([Message("1", queue, b"")])
    held = await driver.dequeue([queue], limit=1, lease=60, wait=0)
    fetch, sent = driver.session._fetch, []

    async def narrow(statement, arguments):
        if "settle" in statement:
            sent.append(arguments[5])
            if not arguments[5][0].isascii():
                raise UntranslatableCharacterError("no equivalent")
        return await fetch(statement, arguments)

    monkeypatch.setattr(driver.session, "_fetch", narrow)
    assert list(await driver.settle([Settlement(held[0], Outcome.DEAD, note="é")])) == []
    assert sent == [["é"], ["é"], ["?"]]
    (dead,) = await driver.browse(queue, State.DEAD, limit=9)
    assert dead.note == "?"
    await driver.delete(queue, ["1"])
