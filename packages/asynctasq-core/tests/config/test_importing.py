"""Which modules a message may cause to be imported."""

import sys
from collections.abc import Iterator
from pathlib import Path

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
