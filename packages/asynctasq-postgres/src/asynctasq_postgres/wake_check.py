"""Checks that notifications arrive on another connection."""

import asyncio
from time import monotonic
from uuid import uuid4

from asynctasq.drivers import Finding, Level
from asynctasq_postgres.diagnostic_context import DiagnosticContext

#: Seconds to wait for a notification.
ARRIVAL_LIMIT = 2.0


async def notifications(context: DiagnosticContext) -> Finding:
    """Check that a notification passes from one connection to another."""
    if not context.settings.postgres_notify:
        return Finding("notifications", "off (postgres_notify)")
    listening = await context.connect()
    try:
        arrived = asyncio.Event()
        channel = f"asynctasq_{uuid4().hex}"
        await listening.add_listener(channel, lambda *_: arrived.set())
        started = monotonic()
        await context.rows("SELECT pg_notify($1, '')", channel)
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
