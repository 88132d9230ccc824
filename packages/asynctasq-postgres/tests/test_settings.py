"""What is accepted as a DSN and as a table's name, and what is shown of it."""

import pytest

from asynctasq.errors import ConfigError
from asynctasq_postgres import PostgresDriver, PostgresSettings

SECRET = "s3cret-pa55"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://localhost",
        "postgres://user@localhost:5432/database",
        "postgresql+asyncpg://user@localhost/database",
        f"postgresql://user:{SECRET}@[::1]:5432/database?sslmode=verify-full",
        f"postgresql://user:{SECRET}%40%2F%3A@10.0.0.1/database",
        "postgresql://user@one:5432,two:5433/database?target_session_attrs=read-write",
        "postgresql:///database?host=/run/postgresql",
    ],
)
def test_dsns(dsn: str) -> None:
    settings = PostgresSettings(postgres_dsn=dsn)
    assert settings.dsn().startswith(("postgresql://",))
    assert SECRET not in settings.location()
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "localhost:5432",
        "mysql://localhost",
        "host=localhost dbname=test",
        f"postgresql://user:{SECRET}@x@localhost/database",
        f"postgresql://user:{SECRET}/x@localhost/database",
        f"postgresql://user:{SECRET}#x@localhost/database",
        f"postgresql://user:{SECRET}@localhost:port/database",
        "postgresql://user@localhost:0/database",
        "postgresql://user@localhost:99999/database",
        "postgresql://user@::1/database",
    ],
)
def test_what_is_no_dsn(dsn: str) -> None:
    with pytest.raises(ConfigError, match="postgresql://user:password@host:5432/database") as error:
        PostgresSettings(postgres_dsn=dsn)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("name", ["tasks", "jobs.tasks", "CamelCase", "_x9", "select"])
def test_table_names(name: str) -> None:
    settings = PostgresSettings(postgres_queue_table=name)
    quoted = ".".join(f'"{part}"' for part in name.split("."))
    assert settings.names().fill("FROM {table}") == f"FROM {quoted}"


@pytest.mark.parametrize(
    "name",
    ['x"; drop table y; --', "", "a.b.c", ".a", "a.", "with space", "naïve", "9x", "x" * 49, "a\n"],
)
@pytest.mark.parametrize("setting", ["postgres_queue_table", "postgres_dead_letter_table"])
def test_what_is_no_table_name(setting: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting}.*table"):
        PostgresSettings(**{setting: name})


@pytest.mark.parametrize(
    "name", ["tasks", "tasks_workers", "tasks_migrations", "tasks_due", "tasks_pkey"]
)
def test_the_table_of_dead_messages_is_another(name: str) -> None:
    with pytest.raises(ConfigError, match="another table"):
        PostgresSettings(postgres_queue_table="tasks", postgres_dead_letter_table=name)


def test_the_index_of_dead_messages_is_another() -> None:
    with pytest.raises(ConfigError, match="another table"):
        PostgresSettings(postgres_queue_table="dead_died", postgres_dead_letter_table="dead")


def test_every_name_that_is_made_fits_and_is_there_once() -> None:
    longest = f"{'s' * 48}.{'t' * 48}"
    names = PostgresSettings(
        postgres_queue_table=longest, postgres_dead_letter_table=longest[:-1] + "d"
    ).names()
    made = [
        names.fill(f"{{{place}}}").rpartition(".")[2].strip('"')
        for place in ("table", "dead", "due_index", "died_index", "workers", "paused", "migrations")
    ]
    functions = [names.fill(f"{{{place}}}") for place in ("enqueue", "settle", "extend")]
    assert max(len(name.encode()) for name in made) <= 63
    assert len(set(made)) == len(made)
    assert max(len(name.rpartition(".")[2].strip('"')) for name in functions) <= 63


def test_channels_of_long_names_fit_and_differ() -> None:
    tables = [f"{'s' * 48}.{'t' * length}" for length in range(1, 49)]
    channels = [PostgresSettings(postgres_queue_table=one).names().channel for one in tables]
    assert len(set(channels)) == len(channels)
    assert max(len(one.encode()) for one in channels) == 63
    assert channels[:14] == tables[:14]  # up to 63 characters they stay as they are


def test_the_pool_has_a_size() -> None:
    with pytest.raises(ConfigError, match="postgres_min_pool_size"):
        PostgresSettings(postgres_min_pool_size=5, postgres_max_pool_size=4)


def test_the_printed_sql_has_no_places_left() -> None:
    settings = PostgresSettings(postgres_queue_table="jobs.tasks")
    sql = PostgresDriver(settings).migration_sql()
    assert "{" not in sql
    assert 'CREATE TABLE IF NOT EXISTS "jobs"."tasks" (' in sql
    assert 'CREATE INDEX IF NOT EXISTS "tasks_due" ON "jobs"."tasks"' in sql
    assert "pg_notify('jobs.tasks'" in sql
