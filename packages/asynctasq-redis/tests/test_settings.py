"""What settings are taken, refused and shown."""

import pytest
from pydantic import SecretStr

from asynctasq.errors import ConfigError
from asynctasq_redis import RedisSettings

SECRET = "s3cret-pa55"


def settings(url: str, **more: object) -> RedisSettings:
    return RedisSettings(redis_url=SecretStr(url), **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("redis://localhost", "redis://localhost:6379/0"),
        ("redis://", "redis://localhost:6379/0"),
        (f"redis://:{SECRET}@cache:7000/3", "redis://:***@cache:7000/3"),
        (f"rediss://me:{SECRET}@cache?db=2&ssl_cert_reqs=none", "rediss://me:***@cache:6379/2"),
        ("valkey://[::1]:6400/1", "valkey://[::1]:6400/1"),
        (f"unix://:{SECRET}@/run/redis.sock?db=4", "unix://:***@/run/redis.sock?db=4"),
        ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
        (
            f"redis+sentinel://me:{SECRET}@a,b:2/mymaster/5?sentinel_password={SECRET}",
            "redis+sentinel://me:***@a:26379,b:2/mymaster/5",
        ),
    ],
)
def test_the_location_shows_all_but_the_password(url: str, location: str) -> None:
    assert settings(url).location() == location
    assert SECRET not in repr(settings(url))


@pytest.mark.parametrize(
    "url",
    [
        "",
        SECRET,
        f"http://:{SECRET}@host",
        f"redis://:{SECRET}@host:port",
        f"redis://:{SECRET}@host:70000",
        f"redis://:{SECRET}@host:0",
        f"redis://:{SECRET}@host/{SECRET}",
        f"redis://:{SECRET}@host/-1",
        f"redis://:{SECRET}@host/1/{SECRET}",
        f"redis://:{SECRET}@host?{SECRET}=1",
        f"redis://:{SECRET}/with/slashes@host",
        f"redis://:{SECRET}#hash@host",
        f"redis://:{SECRET}@[::1",
        f"redis://:{SECRET}@ho st",
        f"redis://:{SECRET}@a,,b",
        f"unix://:{SECRET}@",
        f"redis+sentinel://:{SECRET}@host",
        f"redis+sentinel://:{SECRET}@host/service/{SECRET}",
        f"redis+cluster://:{SECRET}@host/1",
    ],
)
def test_a_bad_url_is_refused_in_one_line_without_its_secret(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(url)
    text = str(caught.value)
    assert "redis_url" in text
    assert "\n" not in text
    assert SECRET not in text


@pytest.mark.parametrize(
    "more",
    [
        {"redis_db": -1},
        {"redis_db": SECRET},
        {"redis_max_connections": 0},
        {"redis_prefix": ""},
        {"redis_prefix": "a:b"},
        {"redis_prefix": "{a}"},
        {"redis_prefix": "a\n"},
    ],
)
def test_a_bad_value_is_refused_by_name(more: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(more))) as caught:
        settings("redis://host", **more)
    assert SECRET not in str(caught.value)


def test_a_cluster_has_one_database() -> None:
    with pytest.raises(ConfigError, match="redis_db"):
        settings("redis+cluster://host", redis_db=1)


def test_password_and_database_win_over_the_url() -> None:
    target = settings(
        "redis://me:old@host/1", redis_password=SecretStr(SECRET), redis_db=0
    ).target()
    assert (target.user, target.password, target.db) == ("me", SECRET, 0)


def test_escapes_are_read() -> None:
    target = settings("redis://m%40e:p%2Fa%3Ass@host").target()
    assert (target.user, target.password) == ("m@e", "p/a:ss")


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTASQ_REDIS_URL", "redis://elsewhere:7000")
    monkeypatch.setenv("ASYNCTASQ_REDIS_DB", "3")
    assert RedisSettings().location() == "redis://elsewhere:7000/3"
