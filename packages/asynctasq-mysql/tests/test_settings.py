"""Settings: valid and invalid values, and how they are shown."""

from typing import Any

import pytest
from pydantic import SecretStr

from asynctasq.errors import BrokerRejected, ConfigError
from asynctasq_mysql import MySQLSettings
from asynctasq_mysql.connection import tls_context
from asynctasq_mysql.url import TLS

SECRET = "s3cret-pa55"


def settings(dsn: str = "mysql://host/db", **more: Any) -> MySQLSettings:
    return MySQLSettings(mysql_dsn=SecretStr(dsn), **more)


@pytest.mark.parametrize(
    ("dsn", "location"),
    [
        ("mysql://localhost/db", "mysql://localhost:3306/db"),
        ("mysql:///db", "mysql://localhost:3306/db"),
        (f"mysql://me:{SECRET}@host:3307/db", "mysql://me:***@host:3307/db"),
        (f"mysql://:{SECRET}@host/db", "mysql://:***@host:3306/db"),
        (f"mariadb://me:{SECRET}@[::1]:3307/db", "mysql://me:***@[::1]:3307/db"),
        (f"mysql+asyncmy://me:{SECRET}@host/db?charset=utf8mb4", "mysql://me:***@host:3306/db"),
        (
            f"mysql://me:{SECRET}@/db?unix_socket=/run/mysqld.sock",
            "mysql://me:***@/db?unix_socket=/run/mysqld.sock",
        ),
    ],
)
def test_the_location_shows_all_but_the_password(dsn: str, location: str) -> None:
    assert settings(dsn).location() == location
    assert SECRET not in repr(settings(dsn))
    assert SECRET not in repr(settings(dsn).target())


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        SECRET,
        f"http://:{SECRET}@host/db",
        f"mysql:{SECRET}",
        f"mysql://:{SECRET}@host",
        f"mysql://:{SECRET}@host/",
        f"mysql://:{SECRET}@host/a/b",
        f"mysql://:{SECRET}@host/{'x' * 65}",
        f"mysql://:{SECRET}@host:port/db",
        f"mysql://:{SECRET}@host:0/db",
        f"mysql://:{SECRET}@host:70000/db",
        f"mysql://:{SECRET}@ho st/db",
        f"mysql://:{SECRET}@[::1/db",
        f"mysql://:{SECRET}#hash@host/db",
        f"mysql://host/db?{SECRET}=1",
        f"mysql://host/db?ssl_mode={SECRET}",
        "mysql://host/db?charset=latin1",
        "mysql://host/db?ssl_key=key.pem",
        "mysql://host/db?ssl_mode=disabled&ssl_ca=ca.pem",
    ],
)
def test_a_bad_dsn_is_refused_in_one_line_without_its_secret(dsn: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(dsn)
    text = str(caught.value)
    assert "mysql_dsn" in text
    assert "\n" not in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("dsn", "password"),
    [
        ("mysql://me:p%40ss%3Aw%2Ford@host/db", "p@ss:w/ord"),
        ("mysql://me:p@ss:word@host/db", "p@ss:word"),
        ("mysql://me:%F0%9F%90%8D@host/db", "🐍"),
    ],
)
def test_passwords_may_hold_anything(dsn: str, password: str) -> None:
    target = settings(dsn).target()
    assert (target.user, target.password, target.host) == ("me", password, "host")


@pytest.mark.parametrize(
    "more",
    [
        {"mysql_queue_table": 'x"; drop table y'},
        {"mysql_queue_table": "x`y"},
        {"mysql_queue_table": ""},
        {"mysql_queue_table": "a.b.c"},
        {"mysql_queue_table": ".b"},
        {"mysql_queue_table": "x" * 54},
        {"mysql_dead_letter_table": "a;b"},
        {"mysql_dead_letter_table": "asynctasq_queue"},
        {"mysql_dead_letter_table": "asynctasq_queue_workers"},
        {"mysql_min_pool_size": 0},
        {"mysql_max_pool_size": 0},
        {"mysql_min_pool_size": 20},
    ],
)
def test_a_bad_value_is_refused_by_name(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(more))):
        settings(**more)


def test_tables_are_qualified_and_quoted() -> None:
    tables = settings(
        "mysql://host/odd`name", mysql_queue_table="my-queue", mysql_dead_letter_table="other.dead"
    ).tables()
    assert tables.queue == "`odd``name`.`my-queue`"
    assert tables.dead_letters == "`other`.`dead`"
    assert tables.workers == "`odd``name`.`my-queue_workers`"


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTASQ_MYSQL_DSN", f"mysql://me:{SECRET}@elsewhere:3307/db")
    monkeypatch.setenv("ASYNCTASQ_MYSQL_MAX_POOL_SIZE", "3")
    found = MySQLSettings()
    assert (found.location(), found.mysql_max_pool_size) == ("mysql://me:***@elsewhere:3307/db", 3)


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("", "preferred"),
        ("?ssl_mode=REQUIRED", "required"),
        ("?ssl_ca=ca.pem", "verify_ca"),
        ("?ssl_ca=ca.pem&ssl_mode=verify-identity", "verify_identity"),
    ],
)
def test_modes_of_encryption_are_those_of_mysqls_own_clients(query: str, mode: str) -> None:
    assert settings(f"mysql://host/db{query}").target().tls.mode == mode


def test_certificates_that_do_not_load_are_named_as_such(tmp_path) -> None:
    with pytest.raises(BrokerRejected, match="ssl_ca"):
        tls_context(TLS("verify_ca", str(tmp_path / "none.pem"), "", ""))


def test_names_and_chains_are_verified_where_asked_for() -> None:
    contexts = {
        mode: tls_context(TLS(mode, "", "", ""))
        for mode in ("disabled", "required", "verify_ca", "verify_identity")
    }
    assert contexts.pop("disabled") is None
    assert {
        mode: (context.verify_mode.name, context.check_hostname)
        for mode, context in contexts.items()
        if context
    } == {
        "required": ("CERT_NONE", False),
        "verify_ca": ("CERT_REQUIRED", False),
        "verify_identity": ("CERT_REQUIRED", True),
    }
