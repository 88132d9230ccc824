"""The routes that change queues and messages."""

import logging

import pytest

pytest.importorskip("starlette", reason="needs the extra web")
pytest.importorskip("httpx", reason="needs httpx")

from asynctasq_cli.web import create_app
from asynctasq_cli.web.actions import ACTIONS

pytestmark = pytest.mark.anyio


@pytest.fixture
async def page(client, config, token):
    """A client that is signed in."""
    page = client(create_app(config, allow_actions=True, token=token))
    assert (await page.post("/login", json={"token": token})).status_code == 200
    return page


async def test_without_allow_actions_there_are_no_such_routes(
    client, config, broker, token
) -> None:
    await broker.bury("dead")
    reader = client(create_app(config, token=token))
    await reader.post("/login", json={"token": token})
    for name in ACTIONS:
        wanted = {"queue": "q", "ids": ["dead"], "state": "dead"}
        assert (await reader.post(f"/actions/{name}", json=wanted)).status_code == 404, name
    assert await broker.states() == (0, 0, 0, 1)


async def test_dead_messages_are_requeued(page, broker) -> None:
    await broker.bury("a", "b", "c")
    wanted = {"queue": "q", "ids": ["a", "b", "nobody"]}
    answer = await page.post("/actions/requeue", json=wanted)
    assert answer.json() == {"said": "2 requeued"}
    assert await broker.states() == (2, 0, 0, 1)


async def test_all_dead_messages_are_requeued_oldest_first(page, broker) -> None:
    ids = [f"id-{n:04}" for n in range(1500)]
    await broker.bury(*ids)
    answer = await page.post("/actions/requeue-all", json={"queue": "q"})
    assert answer.json() == {"said": "1500 requeued"}
    assert sorted(message.id for message in await broker.hold(1500)) == ids


async def test_messages_are_deleted(page, broker) -> None:
    await broker.bury("dead")
    await broker.store("ready", "kept")
    wanted = {"queue": "q", "ids": ["dead", "ready"]}
    assert (await page.post("/actions/delete", json=wanted)).json() == {"said": "2 deleted"}
    assert await broker.states() == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("state", "left"),
    [("ready", (0, 1, 0, 1)), ("delayed", (1, 0, 0, 1)), ("dead", (1, 1, 0, 0))],
)
async def test_a_state_is_purged(page, broker, state: str, left: tuple[int, ...]) -> None:
    await broker.bury("dead")
    await broker.store("ready")
    await broker.store("delayed", delay=600)
    wanted = {"queue": "q", "state": state}
    assert (await page.post("/actions/purge", json=wanted)).json() == {"said": "1 removed"}
    assert await broker.states() == left


async def test_running_messages_are_not_purged(page, broker) -> None:
    await broker.store("running")
    await broker.hold(1)
    answer = await page.post("/actions/purge", json={"queue": "q", "state": "running"})
    assert answer.status_code == 409
    assert await broker.states() == (0, 0, 1, 0)


async def test_a_queue_is_paused_and_resumed(page, broker) -> None:
    await broker.store("one")
    said = []
    for name in ("pause", "pause", "resume", "resume"):
        said.append((await page.post(f"/actions/{name}", json={"queue": "q"})).json()["said"])
        held = await broker.hold(1)
        assert (len(held) == 1) == (name == "resume" and len(said) == 3)
    assert said == ["paused", "paused already", "resumed", "not paused"]


async def test_messages_are_cancelled_whether_they_wait_or_run(page, broker) -> None:
    await broker.store("running")
    (held,) = await broker.hold(1)
    await broker.store("ready")
    await broker.store("delayed", delay=600)
    wanted = {"queue": "q", "ids": ["running", "ready", "delayed", "nobody"]}
    answer = await page.post("/actions/cancel", json=wanted)
    assert answer.json() == {"said": "3 of 4 cancelled"}
    assert await broker.states() == (0, 0, 0, 0)
    assert list(await broker.extend([held], lease=60)) == [held]
    answer = await page.post("/actions/cancel", json={"queue": "q", "ids": ["nobody"]})
    assert "was not found" in answer.json()["said"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requeue", {}),
        ("requeue", {"queue": 7, "ids": ["a"]}),
        ("requeue", {"queue": "", "ids": ["a"]}),
        ("requeue", {"queue": "q"}),
        ("requeue", {"queue": "q", "ids": []}),
        ("requeue", {"queue": "q", "ids": "dead"}),
        ("delete", {"queue": "q", "ids": [1]}),
        ("delete", {"queue": "q", "ids": ["x"] * 5 + [str(n) for n in range(1001)]}),
        ("purge", {"queue": "q"}),
        ("purge", {"queue": "q", "state": "everything"}),
    ],
)
async def test_a_bad_request_changes_nothing(page, broker, name: str, wanted: object) -> None:
    await broker.bury("dead")
    answer = await page.post(f"/actions/{name}", json=wanted)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]
    assert await broker.states() == (0, 0, 0, 1)


async def test_other_queues_than_the_named_ones_are_left_alone(
    client, config, broker, token
) -> None:
    await broker.store("one", queue="theirs")
    page = client(create_app(config, allow_actions=True, token=token, queues=["mine"]))
    await page.post("/login", json={"token": token})
    wanted = {"queue": "theirs", "state": "ready"}
    assert (await page.post("/actions/purge", json=wanted)).status_code == 404
    assert await broker.states("theirs") == (1, 0, 0, 0)


async def test_actions_are_logged(page, broker, caplog) -> None:
    with caplog.at_level(logging.INFO, "asynctasq.web"):
        await page.post("/actions/pause", json={"queue": "q\n"})
    assert "pause on queue 'q\\n' by 127.0.0.1: 'paused'" in caplog.text
