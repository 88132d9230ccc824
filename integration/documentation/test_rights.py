"""The rights that the drivers' pages give an account are enough for all that it does."""

import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from integration.documentation.blocks import ROOT, blocks_of
from integration.documentation.stories import environment

pytestmark = pytest.mark.slow

TASKS = """
from asynctasq import dispatch_many, run, task


@task(max_attempts=1)
async def work(number: int) -> None:
    if number == 3:
        raise ValueError("three is too much")


async def main() -> None:
    await dispatch_many([work(number) for number in range(5)])
    await work(9).on_queue("low").delay(3600).dispatch()


if __name__ == "__main__":
    run(main())
"""
#: What workers, producers and operators do.
WORK = """
python tasks.py
asynctasq worker --burst --max-tasks 4
asynctasq worker --burst
asynctasq queues --json
asynctasq workers
asynctasq tasks list
asynctasq dead list --error three
asynctasq dead requeue --all
asynctasq pause default
asynctasq resume default
asynctasq cancel $(asynctasq tasks list --queue default --json | grep -o '"id": "[^"]*' | cut -c8-)
asynctasq purge low --state delayed --yes
asynctasq health
asynctasq doctor
"""

#: The same, as far as it goes where nobody can look at what waits or runs.
LESS_WORK = """
python tasks.py
timeout --preserve-status 60 asynctasq worker --max-tasks 5
asynctasq queues --queue default
asynctasq dead list --queue default --error three
asynctasq dead requeue --queue default --all
asynctasq purge default --state ready --yes
asynctasq health
asynctasq doctor
"""


@pytest.fixture
def account() -> str:
    """The name of an account of the test's own."""
    return f"test_{uuid.uuid4().hex[:12]}"


def shown(driver: str, pattern: str) -> list[str]:
    """The matches of a pattern in the code blocks of a driver's page."""
    blocks = blocks_of(ROOT / "docs" / "drivers" / f"{driver}.md")
    found = [one for block in blocks for one in re.findall(pattern, block.text, re.DOTALL)]
    assert found != []
    return found


def check(folder: Path, settings: Mapping[str, str], text: str = WORK) -> None:
    """Do all of it with these settings."""
    (folder / "tasks.py").write_text(TASKS)
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", text],
        cwd=folder,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def as_account(url: str, account: str) -> str:
    """The URL with this account, whose password is `secret`."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{account}:secret@{host}"))


def test_redis(redis_settings: dict[str, str], account: str, tmp_path: Path) -> None:
    import redis

    url, prefix = redis_settings["redis_url"], redis_settings["redis_prefix"]
    (command,) = shown("redis", r"redis-cli ACL SETUSER worker .*")
    rules = shlex.split(command.replace("\\\n", " "))[4:]
    with redis.Redis.from_url(url) as client:
        rules = [re.sub(r"asynctasq\b", prefix, rule) for rule in rules]
        client.execute_command("ACL", "SETUSER", account, *rules)
        try:
            check(tmp_path, redis_settings | {"redis_url": as_account(url, account)})
        finally:
            client.execute_command("ACL", "DELUSER", account)


def test_postgres(postgres_settings: dict[str, str], account: str, tmp_path: Path) -> None:
    import psycopg

    dsn, table = postgres_settings["postgres_dsn"], postgres_settings["postgres_queue_table"]
    grants = [
        grant.replace("asynctasq_dead_letters", postgres_settings["postgres_dead_letter_table"])
        .replace("asynctasq_queue", table)
        .replace("TO worker", f'TO "{account}"')
        for grant in shown("postgres", r"GRANT .*?;")
    ]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE \"{account}\" LOGIN PASSWORD 'secret'".encode())
        try:
            for grant in grants:
                connection.execute(grant.encode())
            check(tmp_path, postgres_settings | {"postgres_dsn": as_account(dsn, account)})
        finally:
            connection.execute(f'DROP OWNED BY "{account}"'.encode())
            connection.execute(f'DROP ROLE "{account}"'.encode())


@pytest.mark.parametrize("server", ["mysql", "mariadb"])
def test_mysql(request: pytest.FixtureRequest, server: str, account: str, tmp_path: Path) -> None:
    settings: dict[str, str] = request.getfixturevalue(f"{server}_settings")
    worker, deploy = shown("mysql", r"GRANT .*?;")
    with mysql_account(settings["mysql_dsn"], account, worker):
        check(tmp_path, settings | {"mysql_dsn": as_account(settings["mysql_dsn"], account)})
    with mysql_account(settings["mysql_dsn"], account, deploy):
        tables = {"mysql_queue_table": f"{settings['mysql_queue_table']}_by_another"}
        mine = settings | tables | {"mysql_dsn": as_account(settings["mysql_dsn"], account)}
        check(tmp_path, mine, "asynctasq migrate && asynctasq migrate --check")


@contextmanager
def mysql_account(dsn: str, account: str, grant: str) -> Iterator[None]:
    """An account with these rights on the database of `dsn`, until this is left."""
    import pymysql

    parts = urlsplit(dsn)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
    )
    name = f"'{account}'@'%'"
    grant = grant.replace(" shop.", f" {parts.path.strip('/')}.")
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE USER {name} IDENTIFIED BY 'secret'")
        try:
            cursor.execute(re.sub(r"'\w+'@'%'", name, grant).replace("%", "%%"), ())
            yield
        finally:
            cursor.execute(f"DROP USER {name}")


def test_rabbitmq(rabbitmq_settings: dict[str, str], account: str, tmp_path: Path) -> None:
    url, name = rabbitmq_settings["rabbitmq_url"], rabbitmq_settings["rabbitmq_exchange_name"]
    if not controls(url):
        pytest.skip("rabbitmqctl does not reach this broker")
    (command,) = shown("rabbitmq", r"rabbitmqctl set_permissions [^\n]+")
    words = [word.replace("asynctasq", name) for word in shlex.split(command)]
    rabbitmqctl("add_user", account, "secret")
    try:
        rabbitmqctl(*(account if word == "worker" else word for word in words[1:]))
        check(tmp_path, rabbitmq_settings | {"rabbitmq_url": as_account(url, account)}, LESS_WORK)
    finally:
        rabbitmqctl("delete_user", account)


def controls(url: str) -> bool:
    """Whether the node runs on this machine, and this user may control it."""
    parts = urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1") and parts.port in (None, 5672)
    return local and shutil.which("rabbitmqctl") is not None and rabbitmqctl("status") == 0


def rabbitmqctl(*words: str) -> int:
    """Its exit code."""
    command = ["rabbitmqctl", *words]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


def test_sqs() -> None:
    session = pytest.importorskip("botocore.session").get_session()
    from botocore import xform_name

    source = "\n".join(
        path.read_text() for path in (ROOT / "packages/asynctasq-sqs/src").rglob("*.py")
    )
    called = {
        operation.removesuffix("Batch")
        for operation in session.get_service_model("sqs").operation_names
        if f'"{xform_name(operation)}"' in source
    }
    allowed = {action.removeprefix("sqs:") for action in shown("sqs", r'"(sqs:\w+)"')}
    assert called == allowed
