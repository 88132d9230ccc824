"""The precedence of sources, and the errors for unreadable files."""

from pathlib import Path

import pytest

from asynctasq import Config, ConfigError


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ASYNCTASQ_DRIVER", "ASYNCTASQ_URL"):
        monkeypatch.delenv(name, raising=False)


def test_a_url_outranks_a_driver_from_a_lower_source(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pyproject.toml").write_text('[tool.asynctasq]\ndriver = "sqlite"\n')
    assert Config().driver == "sqlite"
    Path(".env").write_text("ASYNCTASQ_URL=memory://from-env-file\n")
    assert Config().driver == "memory"
    monkeypatch.setenv("ASYNCTASQ_DRIVER", "sqlite")
    assert Config().driver == "sqlite"
    assert Config(url="memory://from-keyword").driver == "memory"


def test_in_one_source_they_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTASQ_DRIVER", "sqlite")
    monkeypatch.setenv("ASYNCTASQ_URL", "memory://x")
    with pytest.raises(ConfigError, match="the sqlite driver does not read memory://x"):
        Config()


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTASQ_DRIVER", "")
    monkeypatch.setenv("ASYNCTASQ_URL", "memory://x")
    assert Config().driver == "memory"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pyproject.toml", b"[tool\n"),
        ("pyproject.toml", b"\xff\xfe"),
        ("pyproject.toml", b"[tool]\nasynctasq = 'x'\n"),
        (".env", b"\xff\xfe"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(name: str, content: bytes) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        Config(driver="memory")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pyproject_of_somebody_else_is_left_alone() -> None:
    Path("pyproject.toml").write_text('[project]\nname = "x"\n')
    assert Config(driver="memory").default_queue == "default"


def test_no_error_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTASQ_URL", "memory://user:canary@host/?key=canary")
    config = Config()
    assert "canary" not in f"{config!r} {config} {config.masked()['url']}"
    monkeypatch.setenv("ASYNCTASQ_URL", "redis-x://user:canary@host")
    with pytest.raises(ConfigError) as caught:
        Config()
    assert "canary" not in str(caught.value)
