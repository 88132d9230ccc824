"""Emitters by name."""

import sys
from pathlib import Path

import pytest

from asynctasq import Config
from asynctasq.errors import ConfigError
from asynctasq.events import LoggingEmitter, make_emitter

MODULE = """
class Mine:
    def __init__(self, config):
        self.driver = config.driver

    async def emit(self, event):
        ...

class Needy:
    def __init__(self, config, more):
        ...

made = Mine(type("C", (), {"driver": "none"}))
nothing = 5
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "emitters_of_a_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "emitters_of_a_test", raising=False)
    return Config(driver="memory")


def test_an_entry_point_is_found_by_its_name(config: Config) -> None:
    assert isinstance(make_emitter("logging", config), LoggingEmitter)


def test_your_own_is_a_class_or_an_object(config: Config) -> None:
    assert vars(make_emitter("emitters_of_a_test:Mine", config)) == {"driver": "memory"}
    assert vars(make_emitter("emitters_of_a_test:made", config)) == {"driver": "none"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loging", r"unknown emitter 'loging'; known are logging.*or your own as module:object"),
        ("emitters_of_a_test:missing", "cannot be created: module .* has no attribute 'missing'"),
        ("no_such_module:x", "cannot be created: No module named 'no_such_module'"),
        ("emitters_of_a_test:Needy", "cannot be created: .*missing 1 required"),
        ("emitters_of_a_test:nothing", r"has no method emit\(event\)"),
    ],
)
def test_what_is_none_is_refused_in_one_line(config: Config, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        make_emitter(name, config)
    assert "\n" not in str(caught.value)
