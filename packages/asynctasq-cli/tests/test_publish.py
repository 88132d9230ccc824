"""``asynctasq publish``: the written template is a valid ``.env``."""

from pathlib import Path

import pytest

from asynctasq import Config
from asynctasq.drivers import registry
from asynctasq_cli.main import run
from asynctasq_cli.publish import template


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command's working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def uncommented(text: str) -> str:
    return "\n".join(
        line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ASYNCTASQ_")
    )


@pytest.mark.parametrize("driver", registry.driver_names())
def test_the_template_has_the_defaults(folder: Path, driver: str) -> None:
    before = Config(driver=driver).masked()
    (folder / ".env").write_text(uncommented(template([driver])))
    assert Config(driver=driver).masked() == before


@pytest.mark.parametrize("driver", registry.driver_names())
def test_every_setting_is_there_with_its_description(driver: str) -> None:
    lines = template([driver]).splitlines()
    for name in Config(driver=driver).masked():
        (place,) = [
            number
            for number, line in enumerate(lines)
            if line.startswith(f"# ASYNCTASQ_{name.upper()}=")
        ]
        assert lines[place - 1].startswith("# "), name


def test_an_existing_file_is_kept(folder: Path, capsys) -> None:
    assert run(["publish"]) == 0
    written = (folder / ".env.example").read_text()
    assert "# ASYNCTASQ_DEFAULT_QUEUE=default" in written
    (folder / ".env.example").write_text("mine")
    assert run(["publish"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (folder / ".env.example").read_text() == "mine"
    assert run(["publish", "--force"]) == 0
    assert (folder / ".env.example").read_text() == written


def test_a_dash_prints_the_template(folder: Path, capsys) -> None:
    assert run(["publish", "--driver", "memory", "-"]) == 0
    assert capsys.readouterr().out == template(["memory"])
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--driver", "rediss"], "unknown driver 'rediss'"),
        (["nowhere/.env"], "cannot be written"),
    ],
)
def test_errors_are_one_line(capsys, words, said) -> None:
    assert run(["publish", *words]) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
