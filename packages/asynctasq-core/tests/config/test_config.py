"""The sources of settings, and the errors for wrong ones."""

import logging
from pathlib import Path
from typing import Any

import pytest

from asynctasq import Config, ConfigError, DriverNotFound, init
from asynctasq.drivers import registry
from asynctasq.drivers.memory import MemorySettings
from asynctasq.drivers.sqlite import SQLiteSettings
from asynctasq.settings import mask_url


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ASYNCTASQ_DRIVER", "ASYNCTASQ_URL", "ASYNCTASQ_DEFAULT_QUEUE"):
        monkeypatch.delenv(name, raising=False)


def test_the_first_source_that_says_something_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    def queue(**values: object) -> str:
        return Config(driver="memory", **values).default_queue

    assert queue() == "default"
    Path("pyproject.toml").write_text('[tool.asynctasq]\ndefault_queue = "from-pyproject"\n')
    assert queue() == "from-pyproject"
    Path(".env").write_text("ASYNCTASQ_DEFAULT_QUEUE=from-env-file\nOTHER=1\n")
    assert queue() == "from-env-file"
    monkeypatch.setenv("ASYNCTASQ_DEFAULT_QUEUE", "from-environment")
    assert queue() == "from-environment"
    assert queue(default_queue="from-keyword") == "from-keyword"


def test_a_driver_has_a_section_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTASQ_SQLITE_PATH", "here.db")
    settings = Config(driver="sqlite").driver_settings
    assert isinstance(settings, SQLiteSettings)
    assert settings.sqlite_path == "here.db"
    assert Config(driver="sqlite").masked()["sqlite_path"] == "here.db"


def test_a_url_picks_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTASQ_URL", "memory://jobs")
    config = Config()
    assert config.driver == "memory"
    assert isinstance(config.driver_settings, MemorySettings)
    assert config.driver_settings.memory_url == "memory://jobs"
    assert Config(driver="sqlite").driver == "sqlite"  # a keyword outranks the environment
    with pytest.raises(ConfigError, match="the sqlite driver does not read memory://x"):
        Config(driver="sqlite", url="memory://x")


def test_without_a_choice_redis_is_used_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "driver_names", lambda: ["memory", "sqlite"])
    assert Config().driver == "sqlite"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"driver": "memroy"}, "unknown driver 'memroy'; did you mean 'memory'?"),
        ({"driver": "zeromq"}, "unknown driver 'zeromq'; installed are "),
        ({"driver": "memory", "default_queu": 1}, "did you mean 'default_queue'?"),
        ({"driver": "sqlite", "sqlite_pth": 1}, "did you mean 'sqlite_path'?"),
        ({"driver": "memory", "default_max_attempts": 0}, "default_max_attempts: "),
        ({"driver": "memory", "default_retry_strategy": "x"}, "default_retry_strategy: "),
        ({"url": "carrier-pigeon://x"}, "no driver reads carrier-pigeon:// URLs"),
    ],
)
def test_wrong_values_get_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values", [{"driver": "redis"}, {"url": "redis://x"}, {"driver": "memory", "redis_url": "x"}]
)
def test_a_driver_that_is_not_installed_names_its_extra(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = registry._entry_points
    monkeypatch.setattr(
        registry,
        "_entry_points",
        lambda group: {k: v for k, v in found(group).items() if "redis" not in v.value},
    )
    with pytest.raises(ConfigError, match=r"pip install 'asynctasq\[redis\]'"):
        Config(**values)


def test_a_mistyped_name_in_pyproject_is_refused() -> None:
    Path("pyproject.toml").write_text('[tool.asynctasq]\ndefault_queu = "x"\n')
    with pytest.raises(ConfigError, match="did you mean 'default_queue'"):
        Config(driver="memory")


def test_a_mistyped_name_in_the_environment_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ASYNCTASQ_DEFAULT_QUEU", "x")
    monkeypatch.setenv("ASYNCTASQ_SERVICE_PORT", "tcp://set-by-others")
    with caplog.at_level(logging.WARNING):
        Config(driver="memory")
    assert caplog.messages == [
        "ASYNCTASQ_DEFAULT_QUEU is not a setting; did you mean ASYNCTASQ_DEFAULT_QUEUE?"
    ]


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTASQ_IMPORTS", "one, two.three,")
    assert Config(driver="memory").imports == ("one", "two.three")


def test_no_secret_is_shown() -> None:
    config = Config(driver="memory", signing_keys="canary-1,canary-2")
    assert [key.get_secret_value() for key in config.signing_keys] == ["canary-1", "canary-2"]
    assert "canary" not in f"{config!r} {config} {config.masked()}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@host:1/0", "redis://:***@host:1/0"),
        ("redis://user:p@w@host/0", "redis://user:***@host/0"),
        ("redis://host", "redis://host"),
        ("redis://host/0?password=pw&x=1", "redis://host/0?password=***&x=***"),
        ("redis://[broken", "***"),
    ],
)
def test_urls_are_masked(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_init_takes_a_config_keywords_or_a_mapping() -> None:
    ready = Config(driver="memory", default_queue="x")
    assert init(ready) is ready
    assert init(driver="memory", default_queue="y").default_queue == "y"
    assert init({"driver": "memory", "default_queue": "z"}).default_queue == "z"
    with pytest.raises(ConfigError):
        init(ready, driver="memory")


def test_an_unknown_driver_is_a_driver_not_found() -> None:
    with pytest.raises(DriverNotFound):
        registry.driver_class("nothing")


def test_a_malformed_url_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError, match="url: malformed") as caught:
        Config(url="redis://user:p\u2100secret@host")
    assert "secret" not in str(caught.value)
