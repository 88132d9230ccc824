"""The distributions fit each other."""

import tomllib
from configparser import ConfigParser
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECTS = [
    tomllib.loads(path.read_text())["project"]
    for path in [ROOT / "pyproject.toml", *sorted(ROOT.glob("packages/*/pyproject.toml"))]
]
VERSIONS = {project["name"]: project["version"] for project in PROJECTS}
DRIVERS = VERSIONS.keys() - {"asynctasq", "asynctasq-core", "asynctasq-cli"}


def test_internal_requirements_accept_this_checkout() -> None:
    wrong = [
        (project["name"], text)
        for project in PROJECTS
        for text in chain(
            project.get("dependencies", []), *project.get("optional-dependencies", {}).values()
        )
        if (required := Requirement(text)).name in VERSIONS
        and not required.specifier.contains(VERSIONS[required.name])
    ]
    assert wrong == []


def test_all_distributions_have_one_version() -> None:
    assert len(set(VERSIONS.values())) == 1


def test_every_distribution_declares_license_and_python() -> None:
    assert {project["license"] for project in PROJECTS} == {"MIT"}
    assert {project["requires-python"] for project in PROJECTS} == {">=3.11"}


def test_every_driver_has_an_extra_and_is_in_all() -> None:
    root = next(project for project in PROJECTS if project["name"] == "asynctasq")
    extras = dict(root["optional-dependencies"])
    everything = extras.pop("all")
    assert sorted(everything) == sorted(chain(*extras.values()))
    assert extras.pop("web") == ["asynctasq-cli[web]>=0.1.0,<0.2"]
    for extra in ("prometheus", "otel"):
        assert extras.pop(extra) == [f"asynctasq-core[{extra}]>=0.1.0,<0.2"]
    assert {f"asynctasq-{extra}" for extra in extras} == DRIVERS


def test_every_driver_is_held_to_the_import_rules() -> None:
    rules = ConfigParser()
    rules.read(ROOT / ".importlinter")
    drivers = {name.replace("-", "_") for name in DRIVERS}
    for section, option in (
        ("importlinter", "root_packages"),
        ("importlinter:contract:distributions", "forbidden_modules"),
        ("importlinter:contract:command", "forbidden_modules"),
        ("importlinter:contract:seam", "source_modules"),
        ("importlinter:contract:independence", "modules"),
    ):
        assert drivers - set(rules[section][option].split()) == set(), (section, option)
