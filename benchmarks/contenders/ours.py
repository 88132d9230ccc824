"""AsyncTasQ."""

import json
import logging
import os
import sys
import time

from asynctasq import Config, DriverFactory, Worker, dispatch_many, init, run, task

logging.disable(logging.INFO)
URL = os.environ["BENCHMARK_URL"]
CONCURRENCY = int(os.environ.get("BENCHMARK_CONCURRENCY", "100"))


@task
async def noop() -> None:
    """Do nothing."""


async def enqueue(count: int) -> None:
    """Dispatch in batches of 1000."""
    for start in range(0, count, 1000):
        await dispatch_many([noop() for _ in range(min(1000, count - start))])


async def work(count: int, config: Config) -> None:
    """Run them in one worker."""
    driver = DriverFactory.create_from_config(config)
    await Worker(driver, concurrency=CONCURRENCY, max_tasks=count, handle_signals=False).start()


async def main() -> None:
    """As the other contenders, on the event loop that our own command uses."""
    config = init(url=URL)
    count = int(sys.argv[2])
    started, processor = time.perf_counter(), time.process_time()
    await (enqueue(count) if sys.argv[1] == "enqueue" else work(count, config))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "cpu": time.process_time() - processor}))


if __name__ == "__main__":
    run(main())
