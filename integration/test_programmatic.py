"""A worker in a program of the user's own, as the user's guide shows it."""

import signal
from textwrap import indent

import pytest

from asynctasq.testing.waiting import until
from integration.application import Application

LOCAL_URL = "redis://localhost:6379"
QUEUES = ("high-priority", "default", "low-priority")

EXAMPLE = """
import asyncio
from asynctasq.config import Config
from asynctasq.core.driver_factory import DriverFactory
from asynctasq.core.worker import Worker

async def main():
    # Create configuration
    config = Config(driver='redis', redis_url='redis://localhost:6379')

    # Create driver and connect
    driver = DriverFactory.create_from_config(config)
    await driver.connect()

    try:
        # Create and start worker
        worker = Worker(
            queue_driver=driver,
            queues=['high-priority', 'default', 'low-priority'],
            concurrency=10
        )

        # Start worker (blocks until SIGTERM/SIGINT)
        await worker.start()
    finally:
        # Cleanup
        await driver.disconnect()

if __name__ == "__main__":
    from asynctasq.utils.loop import run as uv_run

    uv_run(main())
"""

BATCH = """
# Process exactly 10 tasks then exit
worker = Worker(
    queue_driver=driver,
    queues=['default'],
    concurrency=5,
    max_tasks=10  # Exit after 10 tasks
)
await worker.start()
"""

pytestmark = pytest.mark.parametrize("application", ["redis"], indirect=True)


def install(application: Application, program: str) -> None:
    """Write the program, for the broker that is there."""
    program = program.replace(LOCAL_URL, application.settings["redis_url"])
    (application.directory / "program.py").write_text(program)


def test_the_example_runs_until_sigterm(application: Application) -> None:
    install(application, EXAMPLE)
    program = application.start("program.py")
    for queue in QUEUES:
        application.dispatch(("note", {"word": queue}), queue=queue)
    until(lambda: application.log() == dict.fromkeys(QUEUES, 1), "a task of each queue ran")
    program.send_signal(signal.SIGTERM)
    assert program.wait(30) == 0, application.output()
    assert application.output() == ""
    assert [application.stats(queue).running for queue in QUEUES] == [0, 0, 0]


def test_its_batch_mode_ends_after_exactly_ten(application: Application) -> None:
    before, _, rest = EXAMPLE.partition("        # Create and start worker\n")
    after = rest[rest.index("    finally:") :]
    install(application, before + indent(BATCH, " " * 8) + after)
    application.dispatch(*(("note", {"word": str(number)}) for number in range(25)))
    assert application.start("program.py").wait(60) == 0, application.output()
    assert list(application.log().values()) == [1] * 10
    assert (application.stats().ready, application.stats().running) == (15, 0)
