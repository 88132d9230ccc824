"""The read-only routes of the dashboard: capabilities, lists of messages, messages, settings."""

import pytest

pytest.importorskip("starlette", reason="needs the extra web")
pytest.importorskip("httpx", reason="needs httpx")

from asynctasq import Config, MsgpackSerializer
from asynctasq.drivers import Limits, State
from asynctasq.drivers.memory import MemoryDriver
from asynctasq.errors import BrokerUnavailable
from asynctasq.serialization.envelope import Envelope, codec_of
from asynctasq_cli.web import create_app

pytestmark = pytest.mark.anyio


async def test_facts_are_the_capabilities_of_the_broker(client, config) -> None:
    facts = (await client(create_app(config)).get("/api/facts")).json()
    assert facts["driver"] == "memory"
    assert facts["location"] == config.driver_settings.location()
    assert facts["states"] == ["ready", "delayed", "running", "dead"]
    assert (facts["actions"], facts["pause"], facts["workers"]) == (False, True, True)


async def test_tasks_are_listed_page_by_page(client, config, broker) -> None:
    await broker.store(*(f"id-{n}" for n in range(5)))
    page = client(create_app(config))
    seen, more = [], True
    while more:
        query = {"queue": "q", "state": "ready", "limit": 2, "offset": len(seen)}
        answer = (await page.get("/api/tasks", params=query)).json()
        seen += [task["id"] for task in answer["tasks"]]
        more = answer["more"]
        assert len(answer["tasks"]) <= 2
    assert seen == [f"id-{n}" for n in range(5)]


@pytest.mark.parametrize("state", ["ready", "delayed", "running", "dead"])
async def test_tasks_of_each_state_are_listed(client, config, broker, state: str) -> None:
    await broker.bury("dead", note="ValueError: no\nTraceback")
    await broker.store("running")
    await broker.hold(1)
    await broker.store("ready")
    await broker.store("delayed", delay=600)
    query = {"queue": "q", "state": state}
    (task,) = (await client(create_app(config)).get("/api/tasks", params=query)).json()["tasks"]
    assert (task["id"], task["state"], task["queue"]) == (state, state, "q")
    assert task["error"] == ("ValueError: no" if state == "dead" else "")
    assert task["attempts"] == (state in ("dead", "running"))


@pytest.mark.parametrize(
    "query",
    [
        {"queue": "", "state": "dead"},
        {"queue": "q", "state": "lost"},
        {"queue": "q"},
        {"queue": "q", "state": "dead", "limit": "0"},
        {"queue": "q", "state": "dead", "limit": "201"},
        {"queue": "q", "state": "dead", "offset": "-1"},
        {"queue": "q", "state": "dead", "offset": "²"},
        {"queue": "q", "state": "dead", "offset": "9" * 5000},
    ],
)
async def test_a_bad_request_gets_one_line(client, config, query: dict[str, str]) -> None:
    answer = await client(create_app(config)).get("/api/tasks", params=query)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


def body_of(config: Config, *args: object, **kwargs: object) -> bytes:
    envelope = Envelope(task="shop:send", args=args, kwargs=kwargs)
    return codec_of(MsgpackSerializer(), config.signing_keys).encode(envelope)


async def test_a_task_is_shown_with_its_call_and_its_error(client, config, broker) -> None:
    from asynctasq.drivers import Message, Outcome, Settlement

    note = "ValueError: <script>\nTraceback\n  \x1b[31m"
    await broker.enqueue([Message("one", "q", body_of(config, "a\x07", n=float("nan")))])
    held = await broker.hold(1)
    await broker.settle([Settlement(held[0], Outcome.DEAD, note=note)])
    page = client(create_app(config))
    for query in ({"id": "one"}, {"id": "one", "queue": "q"}):
        task = (await page.get("/api/task", params=query)).json()
        assert (task["task"], task["call"]) == ("shop:send", r"'a\x07', n=nan")
        assert (task["error"], task["note"]) == ("ValueError: <script>", note)


async def test_an_unreadable_body_is_shown_as_bytes(client, config, broker) -> None:
    await broker.store("one")
    task = (await client(create_app(config)).get("/api/task", params={"id": "one"})).json()
    assert task["task"] is None
    assert task["call"] == "b'body'"
    assert task["unreadable"]


async def test_long_arguments_are_cut(client, config, broker) -> None:
    from asynctasq.drivers import Message

    await broker.enqueue([Message("one", "q", body_of(config, "x" * 100_000))])
    page = client(create_app(config))
    listed = (await page.get("/api/tasks", params={"queue": "q", "state": "ready"})).json()
    assert len(listed["tasks"][0]["call"]) < 300
    task = (await page.get("/api/task", params={"id": "one"})).json()
    assert task["call"].endswith("… and 50002 characters more")


async def test_arguments_whose_repr_raises_are_shown_as_bytes(
    client, config, broker, monkeypatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("asynctasq_cli.web.messages.call_in", broken)
    await broker.store("one")
    task = (await client(create_app(config)).get("/api/task", params={"id": "one"})).json()
    assert (task["task"], task["call"]) == (None, "b'body'")
    assert "ZeroDivisionError" in task["unreadable"]


async def test_an_unknown_id_is_not_found(client, config) -> None:
    answer = await client(create_app(config)).get("/api/task", params={"id": "nobody"})
    assert answer.status_code == 404
    assert "no message has this id" in answer.json()["error"]


async def test_other_queues_than_the_named_ones_are_not_shown(client, config, broker) -> None:
    await broker.store("mine", queue="mine")
    await broker.store("theirs", queue="theirs")
    page = client(create_app(config, queues=["mine"]))
    for query, status in (
        ({"queue": "mine", "state": "ready"}, 200),
        ({"queue": "theirs", "state": "ready"}, 404),
    ):
        assert (await page.get("/api/tasks", params=query)).status_code == status
    assert (await page.get("/api/task", params={"id": "mine"})).status_code == 200
    assert (await page.get("/api/task", params={"id": "theirs"})).status_code == 404
    query = {"id": "theirs", "queue": "theirs"}
    assert (await page.get("/api/task", params=query)).status_code == 404


async def test_settings_hold_no_secrets(client) -> None:
    config = Config(driver="memory", signing_keys="top-secret-key")
    answer = await client(create_app(config)).get("/api/settings")
    assert {"name": "driver", "value": "memory"} in answer.json()
    assert "top-secret-key" not in answer.text


async def test_an_unavailable_broker_is_one_line(client, config, monkeypatch) -> None:
    async def away(self: MemoryDriver) -> None:
        raise BrokerUnavailable("memory is away")

    monkeypatch.setattr(MemoryDriver, "connect", away)
    answer = await client(create_app(config)).get("/api/task", params={"id": "x"})
    assert (answer.status_code, answer.json()) == (503, {"error": "memory is away"})


async def test_states_the_broker_does_not_show_are_refused(
    client, config, broker, monkeypatch
) -> None:
    monkeypatch.setattr(MemoryDriver, "limits", Limits(inspects=frozenset({State.DEAD})))
    await broker.bury("dead")
    page = client(create_app(config))
    facts = (await page.get("/api/facts")).json()
    assert (facts["states"], facts["scans_everything"]) == (["dead"], True)
    query = {"queue": "q", "state": "ready"}
    answer = await page.get("/api/tasks", params=query)
    assert answer.status_code == 400
    assert "only: dead" in answer.json()["error"]
    answer = await page.get("/api/task", params={"id": "nobody"})
    assert "this broker shows no others" in answer.json()["error"]
