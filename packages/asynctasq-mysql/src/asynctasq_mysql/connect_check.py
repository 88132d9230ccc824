"""Checks when a driver connects: the server's version, its packet size, and the tables."""

import re

from asynctasq.errors import BrokerRejected
from asynctasq_mysql.connection import Link
from asynctasq_mysql.errors import MIGRATE
from asynctasq_mysql.migrations import pending
from asynctasq_mysql.names import Tables

OLDEST_MYSQL = (8, 0)
OLDEST_MARIADB = (10, 6)


async def check_version(link: Link, location: str) -> None:
    """Raise `BrokerRejected` if the server is too old for SKIP LOCKED."""
    ((version,),) = (await link.run("SELECT VERSION()"))[0]
    if lack := too_old(version):
        raise BrokerRejected(f"{product(version)} at {location} is version {version}; {lack}")


def product(version: str) -> str:
    """Return "MariaDB" or "MySQL"."""
    return "MariaDB" if "mariadb" in version.lower() else "MySQL"


def too_old(version: str) -> str:
    """Return the version that is required; an empty string if this one will do."""
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    oldest = OLDEST_MARIADB if product(version) == "MariaDB" else OLDEST_MYSQL
    return "" if numbers >= oldest else f"at least {'.'.join(map(str, oldest))} is needed"


async def check_tables(link: Link, tables: Tables, location: str) -> None:
    """Raise `BrokerRejected` if tables are missing or outdated."""
    missing = [migration.name for migration in await pending(link, tables)]
    if missing:
        raise BrokerRejected(
            f"the tables of {tables.queue} at {location} are missing or behind"
            f" ({', '.join(missing)}); {MIGRATE}"
        )


async def max_allowed_packet(link: Link) -> int:
    """Return the server's limit for one packet, in bytes."""
    ((length,),) = (await link.run("SELECT @@max_allowed_packet"))[0]
    return length
