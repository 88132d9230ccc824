"""The packages that users install: wheels from source distributions, in clean environments."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(ROOT.glob("packages/*/src/*/"))
#: Extra to what it brings.
DRIVERS = {
    "redis": ("asynctasq_redis", "redis"),
    "rabbitmq": ("asynctasq_rabbitmq", "aio_pika"),
    "sqs": ("asynctasq_sqs", "aioboto3"),
    "postgres": ("asynctasq_postgres", "asyncpg"),
    "mysql": ("asynctasq_mysql", "aiomysql"),
}
CLIENTS = {client for _, client in DRIVERS.values()}
#: Likewise, of what is no driver; and the options that need it.
TELEMETRY = {
    "prometheus": ("prometheus_client", ["--metrics-port", "0"]),
    "otel": ("opentelemetry", ["--otel"]),
}

pytestmark = [pytest.mark.install, pytest.mark.slow]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    command = [find_uv(), "build", "--all-packages", "-q", "--out-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def find_uv() -> str:
    """The uv beside this interpreter, else the uv on the path."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    assert found is not None, "these tests need uv"
    return found


class Environment:
    """A clean virtual environment, in a directory that holds nothing else."""

    def __init__(self, folder: Path, wheels: Path, *requirements: str) -> None:
        self.folder = folder
        self.python = folder / "env" / "bin" / "python"
        uv = (find_uv(), "-q")
        self._run(*uv, "venv", "--python", sys.executable, "env")
        place = ("--find-links", str(wheels), "--python", str(self.python))
        self._run(*uv, "pip", "install", *place, *requirements)

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run ``python WORDS`` there."""
        return self._run(str(self.python), *words, check=False)

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run ``asynctasq WORDS`` there."""
        return self._run(str(self.python.with_name("asynctasq")), *words)

    def imports(self, *modules: str) -> dict[str, bool]:
        """Which of these modules can be imported."""
        return {name: self.run("-c", f"import {name}").returncode == 0 for name in modules}

    def _run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("ASYNCTASQ_", "VIRTUAL_"))
        }
        return subprocess.run(
            command, cwd=self.folder, env=clean, check=check, capture_output=True, text=True
        )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Environment:
    return Environment(tmp_path_factory.mktemp("plain"), wheels, "asynctasq")


@pytest.mark.parametrize("extra", DRIVERS)
def test_an_extra_brings_its_driver_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, extra: str
) -> None:
    made = Environment(tmp_path_factory.mktemp(extra), wheels, f"asynctasq[{extra}]")
    present = {"asynctasq", "asynctasq_cli", *DRIVERS[extra]}
    others = CLIENTS - present
    assert made.imports(*present) == dict.fromkeys(present, True)
    assert made.imports(*others) == dict.fromkeys(others, False)


def test_without_an_extra_no_driver_comes(plain: Environment) -> None:
    names = {"pytest", *CLIENTS, *(module for module, _ in DRIVERS.values())}
    names |= {module for module, _ in TELEMETRY.values()}
    assert plain.imports(*names) == dict.fromkeys(names, False)


def test_the_dashboard_is_an_extra_and_brings_its_pages(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, plain: Environment
) -> None:
    refused = plain.run("-m", "asynctasq", "web")
    assert refused.returncode == 2
    assert refused.stderr.endswith("pip install 'asynctasq[web]'\n")
    made = Environment(tmp_path_factory.mktemp("web"), wheels, "asynctasq[web]")
    others = dict.fromkeys(CLIENTS, False)
    assert (
        made.imports("starlette", "uvicorn", *CLIENTS)
        == {"starlette": True, "uvicorn": True} | others
    )
    script = (
        "from asynctasq import Config\n"
        "from asynctasq_cli.web import create_app\n"
        "create_app(Config(driver='sqlite'))\n"
        "from asynctasq_cli.web.login_routes import PAGES\n"
        "from asynctasq_cli.web.app import ASSETS\n"
        "print((PAGES / 'dashboard.html').is_file(), (ASSETS / 'main.js').is_file())\n"
    )
    answer = made.run("-c", script)
    assert answer.stdout == "True True\n", answer.stderr


@pytest.mark.parametrize("extra", TELEMETRY)
def test_telemetry_is_an_extra(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, plain: Environment, extra: str
) -> None:
    module, options = TELEMETRY[extra]
    refused = plain.run("-m", "asynctasq", "worker", "--burst", *options)
    assert refused.returncode == 2
    assert refused.stderr.endswith(f"pip install 'asynctasq[{extra}]'\n")
    made = Environment(tmp_path_factory.mktemp(extra), wheels, f"asynctasq[{extra}]")
    others = dict.fromkeys([*CLIENTS, "starlette", "opentelemetry.sdk"], False)
    assert made.imports(module, *others) == {module: True} | others
    answer = made.run("-m", "asynctasq", "worker", "--burst", *options)
    assert answer.returncode == 0, answer.stderr


def test_the_command_answers_by_name_and_as_a_module(plain: Environment) -> None:
    version = plain.run("-m", "asynctasq", "--version")
    assert version.stdout.startswith("asynctasq, version")
    assert plain.command("--version").stdout == version.stdout
    assert "worker" in plain.command("--help").stdout
    assert "worker" in plain.run("-m", "asynctasq", "--help").stdout


def test_a_driver_that_is_not_installed_names_its_extra(plain: Environment) -> None:
    for options in (["--driver", "redis"], ["--redis-url", "redis://x"], ["--url", "redis://x"]):
        answer = plain.run("-m", "asynctasq", "worker", *options)
        assert answer.returncode == 2
        assert "pip install 'asynctasq[redis]'" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_the_example_of_the_readme_works_when_pasted(plain: Environment) -> None:
    readme = (ROOT / "README.md").read_text()
    example = readme.split("```python\n", 1)[1].split("```", 1)[0]
    (plain.folder / "tasks.py").write_text(example)
    produced = plain.run("tasks.py")
    assert produced.returncode == 0, produced.stderr
    worked = plain.run("-m", "asynctasq", "worker", "--queues", "emails", "--burst")
    assert worked.returncode == 0, worked.stderr
    assert worked.stdout == "sending to ada@example.org\n"


def test_the_demo_runs(plain: Environment) -> None:
    answer = plain.run("-m", "asynctasq", "demo")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "0 left in the queue" in answer.stdout


def test_core_and_a_driver_dispatch_without_the_command(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path
) -> None:
    folder = tmp_path_factory.mktemp("core")
    core = Environment(folder, wheels, "asynctasq-core", "asynctasq-redis")
    answer = core.run("-m", "asynctasq", "worker")
    assert answer.returncode == 2
    assert answer.stderr == "the asynctasq command is not installed: pip install asynctasq\n"
    script = (
        "from asynctasq import init, run, task\n"
        "init(driver='sqlite')\n"
        "@task\n"
        "async def hello(): ...\n"
        "async def main(): print(await hello().dispatch())\n"
        "run(main())\n"
    )
    (folder / "script.py").write_text(script)
    answer = core.run("script.py")
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stdout.strip()) == 36


def test_wheels_hold_all_files_of_their_package(wheels: Path) -> None:
    names = {path.name.split("-")[0]: ZipFile(path).namelist() for path in wheels.glob("*.whl")}
    packages = {path.parents[1].name.replace("-", "_"): path for path in PACKAGES}
    assert names.keys() == {"asynctasq", *packages}
    assert not [name for name in names["asynctasq"] if name.endswith(".py")]
    for distribution, source in packages.items():
        files = {file for file in source.rglob("*") if file.is_file() and file.suffix != ".pyc"}
        missing = {str(file.relative_to(source.parent)) for file in files} - {*names[distribution]}
        assert missing == set()
        assert f"{source.name}/py.typed" in names[distribution]


def test_wheels_carry_the_license(wheels: Path) -> None:
    for path in wheels.glob("*.whl"):
        folder = next(n.split("/")[0] for n in ZipFile(path).namelist() if n.endswith("/METADATA"))
        license_text = ZipFile(path).read(f"{folder}/licenses/LICENSE")
        assert license_text == (ROOT / "LICENSE").read_bytes()
