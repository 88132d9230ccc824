"""What is looked at when a driver connects: the server's version, its packets, and the tables."""

import re

from asynctasq.errors import BrokerRejected
from asynctasq_mysql.connection import Link
from asynctasq_mysql.errors import MIGRATE
from asynctasq_mysql.migrations import pending
from asynctasq_mysql.names import Tables

OLDEST_MYSQL = (8, 0)
OLDEST_MARIADB = (10, 6)


async def check_version(link: Link, location: str) -> None:
    """Raise `BrokerRejected` for a server that knows no SKIP LOCKED."""
    ((version,),) = (await link.run("SELECT VERSION()"))[0]
    if lack := too_old(version):
        raise BrokerRejected(f"{product(version)} at {location} is version {version}; {lack}")


def product(version: str) -> str:
    """Which of the two it is."""
    return "MariaDB" if "mariadb" in version.lower() else "MySQL"


def too_old(version: str) -> str:
    """What is needed instead of this version; nothing if it will do."""
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    oldest = OLDEST_MARIADB if product(version) == "MariaDB" else OLDEST_MYSQL
    return "" if numbers >= oldest else f"at least {'.'.join(map(str, oldest))} is needed"


async def check_tables(link: Link, tables: Tables, location: str) -> None:
    """Raise `BrokerRejected` for tables that are missing or behind."""
    missing = [one.name for one in await pending(link, tables)]
    if missing:
        raise BrokerRejected(
            f"the tables of {tables.queue} at {location} are missing or behind"
            f" ({', '.join(missing)}); {MIGRATE}"
        )


async def max_allowed_packet(link: Link) -> int:
    """The longest packet, in bytes, that the server takes."""
    ((length,),) = (await link.run("SELECT @@max_allowed_packet"))[0]
    return length
