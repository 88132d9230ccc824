"""What the doctor is told of a server, each thing made wrong for real."""

import asyncio
import logging
from pathlib import Path

import pytest

from asynctasq.drivers import Finding, Level
from asynctasq_redis import RedisDriver, server_checks

KEEPS = ("--appendonly", "yes", "--appendfsync", "everysec")

pytestmark = pytest.mark.anyio


async def found(driver: RedisDriver) -> dict[str, Finding]:
    return {one.name: one for one in await driver.diagnose()}


async def test_a_proper_server_is_in_order(server, driver_on) -> None:
    findings = await found(driver_on(server(*KEEPS, "--maxmemory", "64mb").url))
    assert {one.level for one in findings.values()} == {Level.OK}
    assert findings["role"].value == "standalone, master"
    assert findings["persistence"].value == "append-only file, appendfsync everysec"
    assert findings["memory"].value.endswith("used, of 64.0 MiB")


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        (("--save", "", "--appendonly", "no"), "persistence", "none"),
        (("--save", "60", "1", "--appendonly", "no"), "persistence", "snapshots only"),
        ((*KEEPS[:3], "no"), "persistence", "append-only file, appendfsync no"),
        (("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"), "eviction", "allkeys-lru"),
    ],
)
async def test_what_may_lose_messages_is_warned_of(server, driver_on, options, name, value) -> None:
    finding = (await found(driver_on(server(*options).url)))[name]
    assert (finding.value, finding.level) == (value, Level.WARNING)


async def test_a_full_server_is_warned_of(server, driver_on) -> None:
    full = server("--maxmemory", "500kb")
    memory = (await found(driver_on(full.url)))["memory"]
    assert memory.level is Level.WARNING


async def test_a_replica_is_a_problem(server, driver_on) -> None:
    replica = server("--replicaof", "127.0.0.1", "1")
    role = (await found(driver_on(replica.url)))["role"]
    assert (role.value, role.level) == ("standalone, slave", Level.PROBLEM)


async def test_a_server_that_cannot_save_is_a_problem(server, driver_on, tmp_path: Path) -> None:
    broken = server("--save", "", "--dbfilename", "taken.rdb")
    async with asyncio.timeout(20):
        while "'loading': 0" not in str(broken.ask("INFO")):
            await asyncio.sleep(0.02)
    (folder,) = tmp_path.iterdir()  # noqa: ASYNC240 - nothing else runs on the loop
    (folder / "taken.rdb").mkdir()
    broken.ask("BGSAVE")
    async with asyncio.timeout(20):
        while "saving" not in (findings := await found(driver_on(broken.url))):
            await asyncio.sleep(0.02)
    saving = findings["saving"]
    assert (saving.value, saving.level) == ("snapshot failed", Level.PROBLEM)


async def test_what_may_not_be_asked_is_not_known(
    server, driver_on, caplog: pytest.LogCaptureFixture
) -> None:
    closed = server()
    closed.ask("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all", "-info", "-config")
    url = closed.url.replace("://", "://worker:secret@")
    unknown, paused = await driver_on(url).diagnose()
    assert (unknown.name, unknown.level) == ("server", Level.OK)
    assert unknown.value == "unknown: it does not allow INFO"
    assert paused.value == "none"
    closed.ask("ACL", "SETUSER", "worker", "+info")
    findings = await found(driver_on(url))
    assert findings["persistence"].value == "snapshots only"
    with caplog.at_level(logging.WARNING):
        driver = driver_on(url)
        await driver.connect()
        await driver.disconnect()
    assert caplog.records == []


async def test_sentinels_and_clusters_are_looked_into(
    sentinel_url: str, cluster_url: str, driver_on
) -> None:
    assert (await found(driver_on(sentinel_url)))["role"].value == "standalone, master"
    assert (await found(driver_on(cluster_url)))["role"].value == "cluster, master"


def test_a_sentinel_itself_and_an_old_server_are_problems() -> None:
    role = server_checks.role({"redis_mode": "sentinel"})
    assert role.level is Level.PROBLEM
    assert "redis+sentinel://" in role.advice
    assert server_checks.version({"redis_version": "6.0.16"}).level is Level.PROBLEM
    valkey = {"server_name": "valkey", "valkey_version": "8.0.1", "redis_version": "7.2.4"}
    assert server_checks.version(valkey).value == "valkey 8.0.1"
