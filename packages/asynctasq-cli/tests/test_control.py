"""``pause``, ``resume`` and ``cancel`` on drivers with and without the `Control` capability."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from asynctasq import DriverFactory
from asynctasq.drivers import (
    BaseDriver,
    Control,
    Delivery,
    Inspector,
    Message,
    Outcome,
    Settlement,
    State,
    StoredMessage,
)
from asynctasq.drivers.memory import MemoryDriver, MemorySettings
from asynctasq_cli.cancel import ROUNDS
from asynctasq_cli.main import run


class Steered(MemoryDriver):
    """A memory driver with the `Control` capability; instances of one name share their state."""

    def __init__(self, name: str) -> None:
        super().__init__(MemorySettings(memory_url=f"memory://{name}"))
        self.halted: set[str] = set()
        self.held: dict[str, Delivery] = {}

    async def pause(self, queue: str) -> bool:
        new = queue not in self.halted
        self.halted.add(queue)
        return new

    async def resume(self, queue: str) -> bool:
        was = queue in self.halted
        self.halted.discard(queue)
        return was

    async def paused(self) -> Sequence[str]:
        return sorted(self.halted)

    async def revoke(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        held = [self.held.pop(one) for one in ids if one in self.held]
        await self.settle([Settlement(delivery, Outcome.DONE) for delivery in held])
        return [delivery.id for delivery in held]

    def hold(self, *ids: str) -> None:
        """Store messages and dequeue them."""

        async def main() -> None:
            await self.enqueue([Message(one, "q", b"body") for one in ids])
            for one in await self.dequeue(["q"], limit=len(ids), lease=60, wait=0):
                self.held[one.id] = one

        anyio.run(main)


class Moving(Steered):
    """A driver whose messages start to run just before they are removed."""

    finds = 0

    async def find(self, queue: str, ids: Sequence[str]) -> Sequence[StoredMessage]:
        self.finds += 1
        state = State.READY if self.finds % 2 else State.RUNNING
        return [StoredMessage(one, queue, b"body", state, 1, 0.0) for one in ids]

    async def delete(self, queue: str, ids: Sequence[str]) -> Sequence[str]:
        return []


class Blind(BaseDriver):
    """A driver without optional capabilities."""

    settings_type = MemorySettings

    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    async def enqueue(self, messages: Sequence[Message]) -> None: ...
    async def dequeue(self, queues: Sequence[str], **_: Any) -> Sequence[Delivery]:
        return []

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Delivery]:
        return []

    async def extend(self, deliveries: Sequence[Delivery], *, lease: float) -> Sequence[Delivery]:
        return []


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch):
    """A function that makes commands use a driver."""

    def put(driver: BaseDriver) -> Any:
        monkeypatch.setenv("ASYNCTASQ_DRIVER", "memory")
        monkeypatch.setattr(DriverFactory, "create_from_config", lambda _: driver)
        return driver

    return put


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]):
    """Runs a command in this process; returns exit code, standard output and error."""

    def call(*words: str) -> tuple[int, str, str]:
        code = run(words)
        return (code, *capsys.readouterr())

    return call


def test_queues_are_paused_and_resumed(use, command) -> None:
    driver = use(Steered("pause"))
    driver.hold("one")
    assert command("pause", "q", "empty") == (0, "q: paused\nempty: paused\n", "")
    assert command("pause", "q") == (0, "q: paused already\n", "")
    rows = json.loads(command("queues", "--json")[1])
    assert [(row["queue"], row["running"], row["paused"]) for row in rows] == [
        ("empty", 0, True),
        ("q", 1, True),
    ]
    assert "yes" in command("queues", "--queue", "q")[1]
    resumed = json.loads(command("resume", "q", "--json")[1])
    assert resumed == [{"queue": "q", "paused": False, "changed": True}]
    assert command("resume", "q") == (0, "q: not paused\n", "")
    assert "no" in command("queues", "--queue", "q")[1]
    assert driver.halted == {"empty"}


def test_running_messages_are_revoked(use, command) -> None:
    driver = use(Steered("revoke"))
    driver.hold("one", "two")
    code, said, _ = command("cancel", "one", "--queue", "q")
    assert (code, "within a third of its lease" in said) == (0, True)
    assert list(driver.held) == ["two"]
    assert json.loads(command("tasks", "list", "--json")[1])[0]["id"] == "two"


def test_a_message_that_starts_to_run_meanwhile_is_revoked(use, command) -> None:
    driver = use(Moving("moving"))
    driver.hold("one")
    code, said, _ = command("cancel", "one", "--queue", "q", "--json")
    assert (code, json.loads(said)) == (0, [{"id": "one", "outcome": "revoked"}])
    assert driver.finds == 2


def test_a_message_that_keeps_changing_its_state_is_not_cancelled(use, command) -> None:
    driver = use(Moving("never"))
    code, _, error = command("cancel", "one", "--queue", "q")
    assert (code, "try again" in error) == (1, True)
    assert driver.finds == ROUNDS


class Dying(MemoryDriver):
    """A driver where more messages die at each call of `browse`."""

    deaths = 0

    async def bury(self, *ids: str) -> None:
        await self.enqueue([Message(one, "q", b"body") for one in ids])
        held = await self.dequeue(["q"], limit=len(ids), lease=60, wait=0)
        await self.settle([Settlement(one, Outcome.DEAD, note="why") for one in held])

    async def browse(
        self, queue: str, state: State, *, limit: int, offset: int = 0
    ) -> Sequence[StoredMessage]:
        found = await super().browse(queue, state, limit=limit, offset=offset)
        self.deaths += 1
        await self.bury(*(f"late-{self.deaths}-{n}" for n in range(300)))
        return found


@pytest.mark.parametrize("verb", ["requeue", "purge"])
def test_messages_that_die_meanwhile_are_not_changed(use, command, verb: str) -> None:
    driver = use(Dying(MemorySettings(memory_url=f"memory://dying-{verb}")))
    early = [f"early-{n}" for n in range(2500)]
    anyio.run(driver.bury, *early)
    _, said, _ = command("dead", verb, "--all", "--json")
    assert sorted(json.loads(said)) == sorted(early)
    (row,) = json.loads(command("queues", "--json")[1])
    assert row["dead"] == driver.deaths * 300
    assert row["ready"] == (2500 if verb == "requeue" else 0)


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (["pause", "q"], "pause queues"),
        (["resume", "q"], "pause queues"),
        (["queues"], "inspect its queues"),
        (["cancel", "one"], "inspect its queues"),
        (["tasks", "list"], "inspect its queues"),
        (["purge", "q", "--state", "ready"], "inspect its queues"),
        (["workers"], "list workers"),
        (["health", "--queue", "q"], "list workers"),
    ],
)
def test_a_missing_capability_is_an_error(use, command, words: list[str], action: str) -> None:
    driver = use(Blind(MemorySettings()))
    assert not isinstance(driver, (Control, Inspector))
    message = f"error: the memory driver cannot {action}; stop its workers\n"
    assert command(*words) == (2, "", message)
    assert command("health") == (0, "healthy\n", "")


def test_health_times_out(use, command) -> None:
    class Silent(Blind):
        async def connect(self) -> None:
            await anyio.sleep_forever()

    use(Silent(MemorySettings()))
    code, said, error = command("health", "--timeout", "0.05")
    assert (code, said) == (1, "")
    assert error == "error: no response from memory at memory://default within 0.05 seconds\n"
