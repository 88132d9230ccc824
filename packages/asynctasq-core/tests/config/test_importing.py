"""Which modules a message may cause to be imported."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asynctasq import TaskNotFound
from asynctasq.importing import Importer


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "app_for_tests").mkdir()
    (tmp_path / "app_for_tests" / "__init__.py").touch()
    (tmp_path / "app_for_tests" / "jobs.py").write_text("value = 1")
    (tmp_path / "json.py").write_text("raise AssertionError('shadowed')")
    (tmp_path / "broken_for_tests.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:  # no more than these: other tests hold theirs
        if "for_tests" in name:
            del sys.modules[name]


def test_modules_of_the_application_are_imported(root: Path) -> None:
    assert Importer(root).load("app_for_tests.jobs").value == 1


def test_the_working_directory_is_the_default_root(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert Importer().load("app_for_tests.jobs").value == 1


@pytest.mark.parametrize(
    "module",
    ["os", "subprocess", "json", "asynctasq", "pytest", "builtins", "__main__", "", ".", "..x",
     "app_for_tests..jobs", "app_for_tests/jobs", "os.path", "nosuchmodule"],
)  # fmt: skip
def test_all_others_are_refused(root: Path, module: str) -> None:
    with pytest.raises(TaskNotFound, match="allow-list"):
        Importer(root).load(module)


def test_packages_can_be_allowed_by_name(tmp_path: Path) -> None:
    importer = Importer(tmp_path)
    importer.allow(["email"])
    assert importer.load("email.message").__name__ == "email.message"
    with pytest.raises(TaskNotFound):
        importer.load("emailx")


def test_a_module_that_fails_says_why(root: Path) -> None:
    with pytest.raises(TaskNotFound, match="failed: ZeroDivisionError"):
        Importer(root).load("broken_for_tests")


def test_a_package_in_an_environment_below_the_root_is_not_the_applications(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = root / ".venv" / "site-packages"
    (site / "other_for_tests").mkdir(parents=True)
    (site / "other_for_tests" / "__init__.py").touch()
    (root / "other_for_tests").mkdir()  # a directory of data with the same name
    monkeypatch.syspath_prepend(str(site))
    with pytest.raises(TaskNotFound, match="allow-list"):
        Importer(root).load("other_for_tests")


def test_a_module_that_exits_says_so(root: Path) -> None:
    (root / "exits_for_tests.py").write_text("raise SystemExit(3)")
    with pytest.raises(TaskNotFound, match="failed: SystemExit"):
        Importer(root).load("exits_for_tests")


@pytest.mark.parametrize("module", ["os:system", "app_for_tests.jobs:value", "a b", "app-x"])
def test_only_dotted_names_are_modules(root: Path, module: str) -> None:
    with pytest.raises(TaskNotFound, match="allow-list"):
        Importer(root).load(module)


def test_a_namespace_that_lies_elsewhere_too_is_not_the_applications(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory without code of that name must not open the rest of the namespace."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "space_for_tests").mkdir()
    (elsewhere / "space_for_tests" / "evil.py").touch()
    (root / "space_for_tests").mkdir()
    monkeypatch.syspath_prepend(str(elsewhere))
    with pytest.raises(TaskNotFound, match="allow-list"):
        Importer(root).load("space_for_tests.evil")


# What a message may name, tried in a process of its own: whatever runs leaves a file.

APPLICATION = """
import dataclasses, enum, os
from pathlib import Path
from os import system as renamed, system
from pydantic import BaseModel
from asynctasq import task

HERE = Path(__file__).parent


def mark(*words):
    (HERE / "ran").touch()


def helper(word=""):
    mark()


def _private(word=""):
    mark()


@task
def note(word: str = ""):
    mark()


class Runs:
    def __init__(self, *args, **kwargs):
        mark()

    execute = mark


@dataclasses.dataclass
class Point:
    x: int = 0

    class Inner:
        def __init__(self, *args):
            mark()


class Color(enum.Enum):
    RED = "red"
"""

OUTSIDE = """
import pathlib
pathlib.Path({marker!r}).touch()
import enum
class Color(enum.Enum):
    RED = "red"
"""

TRY_ALL = """
import json, sys
import msgpack
from asynctasq import MsgpackSerializer
from asynctasq.errors import TaskNotFound, UnknownType
from asynctasq.tasks.registry import registry

def refused(call, expected):
    try:
        call()
    except expected:
        return True
    return False

def value(tag, name, plain):
    packed = msgpack.packb([tag, [name, plain]])
    return lambda: MsgpackSerializer().loads(msgpack.packb(msgpack.ExtType(1, packed)))

PLAIN = [("enum", "red"), ("dataclass", {}), ("dataclass", {"x": 1}), ("model", {})]
names, answers = json.load(sys.stdin), {}
for name in names:
    as_task = refused(lambda: registry.find(name), TaskNotFound)
    as_type = [refused(value(tag, name, plain), UnknownType) for tag, plain in PLAIN]
    answers[name] = [as_task, all(as_type)]
known = registry.find("app:note").name
print(json.dumps([answers, known, sorted(sys.modules)]))
"""

TRICKS = [
    # other modules
    "os:system", "subprocess:Popen", "builtins:eval", "builtins:dict", "posix:system",
    "importlib:import_module", "pickle:loads", "ctypes:CDLL", "antigravity:x", "this:s",
    "__main__:refused", "__mp_main__:x", "app.__main__:x", "sys.modules:x", "asynctasq:task",
    # what the application's module has, and is no task
    "app:system", "app:renamed", "app:os.system", "app:HERE", "app:helper", "app:_private",
    "app:Runs", "app:Runs.execute", "app:Point.Inner", "app:mark", "app:task", "app:BaseModel",
    "app:Path", "app:enum.Enum", "app.os:system", "app.note:note",
    # what a task has
    "app:note.__globals__", "app:note.function", "app:note.function.__globals__",
    "app:note.__wrapped__", "app:note.__class__", "app:note.definition", "app:note.execute",
    "app:Point.__init__", "app:Point.__init__.__globals__", "app:Color.__class__",
    "app:Color.RED.__class__", "app:Point.__class__.__base__",
    # names that are none
    "", ":", "::", "app:", ":note", "app", "app::note", "app:note:", "app:note:x", "app:app:note",
    "app.:note", ".app:note", "..app:note", "app..x:note", "../app:note", "./app:note",
    "app/x:note", "app.py:note", "/etc/passwd:x", "..outside:x", "file:///app:note",
    # near misses
    " app:note", "app :note", "app: note", "app:note ", "app:note\n", "app\n:note", "\tapp:note",
    "app\0:note", "app:note\0", "app\u200b:note", "app:note\u200b", "app\u00a0:note",
    "\uff41pp:note", "app:n\uff4fte", "\u0430pp:note", "app:n\u043ete", "\uff4f\uff53:system",
    "APP:note", "App:note", "app:NOTE", "app\uff1anote", "app\u2024x:note", "\ufeffapp:note",
    # outside of the working directory, on the path
    "outside:x", "outside:Color", "outside.x:Color", "package_outside.x:x", "space.evil:Color",
]  # fmt: skip


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The application's directory after all tricks, and what came of them."""
    root, outside = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("outside")
    (root / "app.py").write_text(APPLICATION)
    (root / "space").mkdir()  # a directory of data
    for name in ("outside.py", "package_outside/x.py", "space/evil.py"):
        (outside / name).parent.mkdir(exist_ok=True)
        (outside / name).write_text(OUTSIDE.format(marker=str(root / "imported")))
    run = subprocess.run(
        [sys.executable, "-c", TRY_ALL],
        input=json.dumps(TRICKS),
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(outside)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return root, json.loads(run.stdout)


@pytest.mark.parametrize("name", TRICKS, ids=ascii)
def test_no_trick_finds_a_task_or_a_type(tried: tuple[Path, Any], name: str) -> None:
    (answers, _, _) = tried[1]
    assert answers[name] == [True, True]


def test_no_trick_runs_or_imports_anything_but_the_application(tried: tuple[Path, Any]) -> None:
    root, (_, known, modules) = tried
    assert known == "app:note"
    assert {path.name for path in root.iterdir()} - {"__pycache__"} == {"app.py", "space"}
    forbidden = {"antigravity", "this", "outside", "package_outside", "package_outside.x", "space"}
    assert forbidden.isdisjoint(modules)


def test_a_link_in_the_working_directory_is_as_good_as_a_file(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever deploys put it there; a volume of a container has nothing else."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "linked_for_tests.py"
    elsewhere.write_text("value = 2")
    (root / elsewhere.name).symlink_to(elsewhere)
    assert Importer(root).load("linked_for_tests").value == 2


def test_a_link_does_not_let_in_what_lies_beside_its_target(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "linked_for_tests.py").touch()
    (elsewhere / "beside_for_tests.py").touch()
    (root / "linked_for_tests.py").symlink_to(elsewhere / "linked_for_tests.py")
    monkeypatch.syspath_prepend(str(elsewhere))
    with pytest.raises(TaskNotFound, match="allow-list"):
        Importer(root).load("beside_for_tests")
