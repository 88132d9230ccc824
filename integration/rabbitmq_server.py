"""A RabbitMQ of a test's own, which it can kill and start again on the same data."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from yarl import URL

from asynctasq.testing.ports import free_port
from asynctasq.testing.waiting import until
from asynctasq_rabbitmq.ladder import LEVELS
from asynctasq_rabbitmq.link import Link
from asynctasq_rabbitmq.names import Names
from asynctasq_rabbitmq.topology import Topology
from integration.brokers import BROKERS

#: Seconds a node may take to boot.
BOOT_LIMIT = 240.0
#: As documented for the delays: by default an expired message that finds no route while the node
#: boots is forwarded three minutes later, and with 32 of them its level stands still until then.
_ADVANCED = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 5000}]}].\n"


class RabbitServer:
    """One node on a free port.

    Args:
        folder: its data.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self.settings = {"driver": "rabbitmq", "rabbitmq_url": self.url}
        self._folder = folder / "rabbitmq"
        self._folder.mkdir()
        (self._folder / "enabled_plugins").write_text("[].")
        (self._folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        (self._folder / "advanced.config").write_text(_ADVANCED)
        self._environment = {
            **os.environ,
            "HOME": str(self._folder),  # of the cookie
            "RABBITMQ_NODENAME": f"test-{uuid4().hex[:12]}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._has_ladder = False

    def start(self) -> None:
        """Start it, again perhaps; it answers, and would keep the ladder of delays."""
        self._process = subprocess.Popen(
            [script()],
            env=self._environment,
            cwd=self._folder,  # a node that dies may leave a dump there
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: BROKERS["rabbitmq"].answers(self.url), "the node answers", BOOT_LIMIT)
        if not self._has_ladder:
            asyncio.run(_declare_ladder(self.url))
            self.keeps(Names("asynctasq").level(LEVELS - 1))
            self._has_ladder = True

    def keeps(self, queue: str) -> None:
        """Wait until a queue that was declared, and those before it, outlive the node.

        RabbitMQ writes the names of quorum queues to the disk every half second. One that was
        declared since comes back without its messages, and never elects a leader.
        """
        names = f"data/{self._environment['RABBITMQ_NODENAME']}/quorum/*/names.dets"
        word = f"%2F_{queue}".encode()
        until(
            lambda: any(word in path.read_bytes() for path in self._folder.glob(names)),
            f"the name of {queue} is on the disk",
        )

    def kill(self) -> None:
        """Kill it with -9, if it runs: the node, and the scripts around it."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def log(self) -> str:
        """The node's log."""
        return "".join(path.read_text() for path in (self._folder / "log").glob("*.log"))


def script() -> str:
    """The script that starts a node as this user: Debian wraps it in one that changes the user."""
    unwrapped = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return str(unwrapped) if unwrapped.exists() else shutil.which("rabbitmq-server") or ""


async def _declare_ladder(url: str) -> None:
    link = Link(URL(url), url, "test")
    await link.open()
    await Topology(link, Names("asynctasq")).ensure_ladder()
    await link.close()


async def count_delayed(url: str, name: str) -> int:
    """Messages that wait for their time under this exchange name."""
    import aio_pika

    names = Names(name)
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        levels = [
            await channel.declare_queue(names.level(number), passive=True)
            for number in range(LEVELS)
        ]
        return sum(level.declaration_result.message_count or 0 for level in levels)


async def without_route(url: str, name: str, queue: str, event: Callable[[], bool]) -> None:
    """Unbind a queue from the `due` exchange of this exchange name until `event` is true."""
    import aio_pika

    names = Names(name)
    key = f"#.{names.word(queue)}"
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        bound = await channel.get_queue(names.queue(queue))
        await bound.unbind(names.due, key)
        await asyncio.to_thread(until, event, "messages found no route")
        await bound.bind(names.due, key)


async def delete_queues(url: str, name: str, queues: Sequence[str]) -> None:
    """Delete everything that the driver declared for these queues under this exchange name."""
    import aio_pika

    names = Names(name)
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for queue in queues:
            await channel.queue_delete(names.queue(queue))
            await channel.queue_delete(names.dead(queue))


async def delete_ladder(url: str, name: str) -> None:
    """Delete the exchanges and queues that all queues under this exchange name share."""
    import aio_pika

    names = Names(name)
    levels = [names.level(number) for number in range(LEVELS)]
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for level in levels:
            await channel.queue_delete(level)
        for exchange in [names.due, *levels]:
            await channel.exchange_delete(exchange)


#: Makes a node, which is not started yet.
MakeRabbit = Callable[[], RabbitServer]
