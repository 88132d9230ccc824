"""Tests every code block of every page."""

import ast
import asyncio
import importlib
import json
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import rich_click as click
import yaml

from asynctasq import Config, DriverFactory
from asynctasq.drivers import Workers, registry
from asynctasq_cli.main import cli, run
from integration.documentation.blocks import BLOCKS, MARKS, ROOT, Block
from integration.documentation.command_lines import command_lines, ini
from integration.documentation.stories import compiled, start

#: Languages that are for the eye: nothing here reads them.
SHOWN = {"text", "nginx", "sql", "dockerfile", "erlang"}
SHELL = {"bash", "sh"}
DATA = {"toml", "yaml", "json", "ini"}
#: Variables that are no settings: the dashboard's token, and where tests find brokers.
VARIABLES = re.compile(r"web_token|test_\w+")
NOT_RUN = {"fragment", "other"}


def those(*languages: str, marked: str | None = None) -> list[object]:
    """The blocks in these languages, as parameters named by their place."""
    return [
        pytest.param(block, id=block.place)
        for block in BLOCKS
        if block.language in languages and (marked is None or marked in block.marks)
    ]


def runnable() -> list[object]:
    """Python blocks that are not excused, and shell blocks that ask for it."""
    python = [block for block in BLOCKS if block.language == "python" and not NOT_RUN & block.marks]
    shell = [block for block in BLOCKS if block.language in SHELL and "run" in block.marks]
    return [pytest.param(block, id=block.place) for block in (*python, *shell)]


@pytest.fixture(scope="module")
def setting_names() -> set[str]:
    models = [Config, *map(registry.settings_class, registry.driver_names())]
    return {name for model in models for name in model.model_fields}


@pytest.fixture
def parse_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse and validate commands without running them."""
    for command in _leaves(cli):
        monkeypatch.setattr(command, "callback", lambda *_args, **_options: None)


def _leaves(command: click.Command) -> Iterator[click.Command]:
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _leaves(inner)
    else:
        yield command


@pytest.fixture
def settings(request: pytest.FixtureRequest, block: Block, tmp_path: Path) -> Mapping[str, str]:
    """Those of the broker that the block needs, else of a file."""
    if "redis" in block.marks:
        return request.getfixturevalue("redis_settings")
    return {"driver": "sqlite", "sqlite_path": str(tmp_path / "asynctasq.db")}


def test_every_block_has_valid_marks() -> None:
    known = SHOWN | SHELL | DATA | {"python"}
    assert [block.place for block in BLOCKS if block.language not in known] == []


def test_every_mark_is_known() -> None:
    unknown = [
        (block.place, mark)
        for block in BLOCKS
        for mark in block.marks - MARKS
        if not mark.startswith("prints ")
    ]
    assert unknown == []


@pytest.mark.parametrize("block", those("python"))
def test_python_compiles(block: Block) -> None:
    compiled(block.text)


@pytest.mark.parametrize("block", those("python", marked="fragment"))
def test_imports_of_a_fragment_are_there(block: Block) -> None:
    for node in ast.walk(compiled(block.text)):
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            module = importlib.import_module(node.module)
            missing = [name.name for name in node.names if not hasattr(module, name.name)]
            assert missing == []


@pytest.mark.parametrize("block", runnable())
def test_runs(block: Block, tmp_path: Path, settings: Mapping[str, str]) -> None:
    process = start(block, tmp_path, settings)
    try:
        if "worker" in block.marks:
            asyncio.run(_until_a_worker_is_known(settings))
            process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, output
    assert [words for words in block.prints if words not in output] == [], output


async def _until_a_worker_is_known(settings: Mapping[str, str]) -> None:
    driver = DriverFactory.create_from_config(Config(**settings))
    assert isinstance(driver, Workers)
    await driver.connect()
    try:
        async with asyncio.timeout(60):
            while not await driver.workers():  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.05)
    finally:
        await driver.disconnect()


@pytest.mark.usefixtures("parse_only")
@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.place) for block in BLOCKS if command_lines(block)]
)
def test_commands_are_understood(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    for words in command_lines(block):
        assert run(words) == 0, (words, capsys.readouterr().err)


@pytest.mark.parametrize("block", those(*SHELL))
def test_shell_reads_it(block: Block) -> None:
    subprocess.run(["bash", "-n", "-c", block.text], check=True)


@pytest.mark.parametrize("block", those(*SHELL))
def test_recipes_are_there(block: Block) -> None:
    recipes = re.findall(r"^(\w+)\b.*:$", (ROOT / "justfile").read_text(), re.MULTILINE)
    called = re.findall(r"^just (\w+)", block.text, re.MULTILINE)
    assert set(called) <= set(recipes)


@pytest.mark.parametrize("block", those(*DATA))
def test_data_parses(block: Block) -> None:
    match block.language:
        case "toml":
            assert tomllib.loads(block.text)
        case "json":
            assert json.loads(block.text)
        case "yaml":
            assert all(yaml.safe_load_all(block.text))
        case _:
            assert ini(block.text).sections()


@pytest.mark.parametrize("block", those("toml"))
def test_keys_are_settings(block: Block, setting_names: set[str]) -> None:
    table = tomllib.loads(block.text).get("tool", {}).get("asynctasq", {})
    assert set(table) <= setting_names


@pytest.mark.parametrize(
    "block", [pytest.param(one, id=one.place) for one in BLOCKS if "ASYNCTASQ_" in one.text]
)
def test_variables_are_settings(block: Block, setting_names: set[str]) -> None:
    names = [name.lower() for name in re.findall(r"\bASYNCTASQ_([A-Z_]+\w)\b", block.text)]
    unknown = [n for n in names if n not in setting_names and not VARIABLES.fullmatch(n)]
    assert unknown == []


@pytest.mark.parametrize("block", those("ini", "yaml"))
def test_workers_are_given_time_to_stop(block: Block) -> None:
    pattern = r"(?:TimeoutStopSec=|stopwaitsecs=|stop_grace_period: |GracePeriodSeconds: )(\d+)"
    (limit,) = [one for one in _worker_command().params if one.name == "shutdown_timeout"]
    for seconds in re.findall(pattern, block.text):
        assert int(seconds) > limit.default


def _worker_command() -> click.Command:
    return cli.commands["worker"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize(
    "block", [pytest.param(one, id=one.place) for one in BLOCKS if "[Service]" in one.text]
)
def test_systemd_accepts_every_option(block: Block, tmp_path: Path) -> None:
    unit = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/sh", block.text, flags=re.MULTILINE)
    (tmp_path / "worker.service").write_text(unit)
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "worker.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "worker.service" not in verified.stderr, verified.stderr
