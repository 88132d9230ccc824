"""The dashboard's routes on every broker, within the capabilities of its driver."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the extra web")
pytest.importorskip("httpx", reason="needs httpx")

import httpx

from asynctasq import Config, DriverFactory
from asynctasq.drivers import BaseDriver, Message, Outcome, Settlement
from asynctasq_cli.web import create_app
from asynctasq_cli.web.snapshot import take_snapshot

QUEUE = "emails"
TOKEN = "a token of more than sixteen"
NOTE = "ValueError: <script>\nTraceback"
OURS = {"X-AsyncTasQ": "1", "Origin": "http://here"}

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "redis", "postgres", "mysql", "rabbitmq", "sqs"])
def config(request: pytest.FixtureRequest) -> Config:
    settings: Mapping[str, str] = request.getfixturevalue(f"{request.param}_settings")
    return Config(**settings)


async def fill(driver: BaseDriver) -> None:
    """One dead message, and a ready one."""
    await driver.enqueue([Message("dead", QUEUE, b"body")])
    (held,) = await driver.dequeue([QUEUE], limit=1, lease=60, wait=20)
    await driver.settle([Settlement(held, Outcome.DEAD, note=NOTE)])
    await driver.enqueue([Message("ready", QUEUE, b"body")])


async def test_what_the_broker_can_do_is_shown_and_done(config: Config) -> None:
    driver = DriverFactory.create_from_config(config)
    await driver.connect()
    transport = httpx.ASGITransport(app=create_app(config, allow_actions=True, token=TOKEN))
    try:
        await fill(driver)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://here", headers=OURS, timeout=60
        ) as page:
            assert (await page.post("/login", json={"token": TOKEN})).status_code == 200
            facts = (await page.get("/api/facts")).json()
            await counted(driver, ready=1, dead=1)
            await looked(page, facts)
            await requeued(page)
            await counted(driver, ready=2, dead=0)
            await paused(page, driver, facts)
            await cancelled(page, facts)
    finally:
        await driver.disconnect()


async def counted(driver: BaseDriver, *, ready: int, dead: int) -> None:
    """Wait until a snapshot shows this; counts of some brokers lag."""
    async with asyncio.timeout(60):
        while True:
            (stats,) = (await take_snapshot(driver, [QUEUE], QUEUE)).queues
            if (stats.ready, stats.dead) == (ready, dead):
                break
            await asyncio.sleep(0.1)
    everything = await take_snapshot(driver, [], QUEUE)
    assert QUEUE in [one.queue for one in everything.queues]


async def looked(page: Any, facts: Mapping[str, Any]) -> None:
    for state in ("ready", "delayed", "running", "dead"):
        answer = await page.get("/api/tasks", params={"queue": QUEUE, "state": state})
        if state not in facts["states"]:
            assert answer.status_code == 400, state
            continue
        ids = [task["id"] for task in answer.json()["tasks"]]
        assert ids == ([state] if state in ("ready", "dead") else []), state
    task = (await page.get("/api/task", params={"queue": QUEUE, "id": "dead"})).json()
    assert (task["call"], task["note"]) == ("b'body'", NOTE)


async def requeued(page: Any) -> None:
    answer = await page.post("/actions/requeue", json={"queue": QUEUE, "ids": ["dead", "ready"]})
    assert answer.json() == {"said": "1 requeued"}


async def paused(page: Any, driver: BaseDriver, facts: Mapping[str, Any]) -> None:
    answer = await page.post("/actions/pause", json={"queue": QUEUE})
    if not facts["pause"]:
        assert answer.status_code == 409
        assert "cannot pause queues" in answer.json()["error"]
        return
    assert (await take_snapshot(driver, [], QUEUE)).paused == {QUEUE}
    answer = await page.post("/actions/resume", json={"queue": QUEUE})
    assert answer.json() == {"said": "resumed"}


async def cancelled(page: Any, facts: Mapping[str, Any]) -> None:
    answer = await page.post("/actions/cancel", json={"queue": QUEUE, "ids": ["ready"]})
    if facts["scans_everything"]:
        assert answer.status_code == 409
        assert "cannot cancel single messages" in answer.json()["error"]
    else:
        assert answer.json() == {"said": "removed before it ran"}
