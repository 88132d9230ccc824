"""The `Diagnostics` capability: finds what keeps workers from running well."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from asynctasq.drivers import Finding
from asynctasq_redis.connect_check import names, read_info
from asynctasq_redis.connection import connections
from asynctasq_redis.errors import translate_errors
from asynctasq_redis.names import Keys
from asynctasq_redis.server_checks import findings
from asynctasq_redis.session import CONNECT_LIMIT
from asynctasq_redis.settings import RedisSettings


class RedisDiagnostics:
    """The method of `Diagnostics`."""

    settings: Any

    async def diagnose(self) -> Sequence[Finding]:
        """Check the server, on separate connections; see `Diagnostics.diagnose`."""
        settings = cast(RedisSettings, self.settings)
        nodes = connections(settings)
        with translate_errors(settings.location()):
            try:
                async with asyncio.timeout(CONNECT_LIMIT):
                    await nodes.open()
                    info, config = await read_info(nodes)
                    paused = await names(nodes, Keys(settings.redis_prefix).paused)
            finally:
                await nodes.close()
        found = findings(info, config)
        return found if paused is None else [*found, Finding.of_paused(paused)]
