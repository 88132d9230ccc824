"""Whether notifications arrive where somebody listens."""

import asyncio
from time import monotonic
from uuid import uuid4

from asynctasq.drivers import Finding, Level
from asynctasq_postgres.diagnostic_context import Look

#: Seconds in which a notification arrives, if it ever does.
ARRIVAL_LIMIT = 2.0


async def notifications(look: Look) -> Finding:
    """Sent on one connection, heard on another one."""
    if not look.settings.postgres_notify:
        return Finding("notifications", "off (postgres_notify)")
    listening = await look.connect()
    try:
        arrived = asyncio.Event()
        channel = f"asynctasq_{uuid4().hex}"
        await listening.add_listener(channel, lambda *_: arrived.set())
        started = monotonic()
        await look.rows("SELECT pg_notify($1, '')", channel)
        async with asyncio.timeout(ARRIVAL_LIMIT):
            await arrived.wait()
    except TimeoutError:
        advice = (
            "set postgres_notify to false, or connect workers to PostgreSQL itself: a pooler does"
            " not pass notifications on"
        )
        return Finding("notifications", "do not arrive", Level.WARNING, advice)
    else:
        return Finding("notifications", f"arrive in {1000 * (monotonic() - started):.1f} ms")
    finally:
        listening.terminate()
