"""``dispatch_sync`` when its thread cannot start."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from asynctasq import BrokerUnavailable, task
from asynctasq.core.producer import portal
from asynctasq.core.producer.client import client
from asynctasq.drivers import BaseDriver, State

NewDriver = Callable[[], BaseDriver]


@task(name="portal-test", queue="own")
async def work(number: int) -> None: ...


async def stored(new_driver: NewDriver) -> list[Any]:
    driver: Any = new_driver()
    await driver.connect()
    found = list(await driver.browse("own", State.READY, limit=1000))
    await driver.disconnect()
    return found


def no_loop() -> asyncio.AbstractEventLoop:
    raise OSError(24, "Too many open files")


def no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


class NoSelector(asyncio.SelectorEventLoop):
    """A loop that is made, and cannot run."""

    def run_forever(self) -> None:
        raise OSError(24, "Too many open files")


class Stuck(asyncio.SelectorEventLoop):
    """A loop that does not begin."""

    def run_forever(self) -> None:
        time.sleep(0.5)


CAUSES = [
    (asyncio, "new_event_loop", no_loop, "Too many open files"),
    (threading.Thread, "start", no_thread, "can't start new thread"),
    (asyncio, "new_event_loop", NoSelector, "Too many open files"),
    (asyncio, "new_event_loop", Stuck, ""),
]


@pytest.mark.parametrize(("owner", "name", "instead", "cause"), CAUSES)
def test_a_thread_that_cannot_start_is_one_clear_error(
    new_driver: NewDriver,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    instead: Any,
    cause: str,
) -> None:
    client.end_thread()
    monkeypatch.setattr(portal, "START_LIMIT", 0.1)
    with monkeypatch.context() as broken:
        broken.setattr(owner, name, instead)
        with pytest.raises(BrokerUnavailable, match=r"dispatch_sync\(\) needs a thread") as caught:
            work(1).dispatch_sync()
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)
    work(2).dispatch_sync()  # when there is one again
    assert len(asyncio.run(stored(new_driver))) == 1


WITHOUT_FILES = """
import os, resource, time
from asynctasq import BrokerUnavailable, init, task

@task
async def work() -> None: ...

init(driver="sqlite", sqlite_path="queue.db")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
for left in range(4):
    try:
        work().dispatch_sync()
    except BrokerUnavailable as error:
        print("unavailable")
    os.close(taken.pop())
while taken:
    os.close(taken.pop())
work().dispatch_sync()
print("stored")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_process_without_file_descriptors_gets_an_answer(tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FILES],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["unavailable"] * 4 + ["stored"], done.stderr
    assert done.stderr == ""


AT_THE_END = """
import sys
from asynctasq import BrokerUnavailable, init, task

@task
async def work() -> None: ...

init(driver="sqlite", sqlite_path="queue.db")

class Late:
    def __del__(self, work=work, error=BrokerUnavailable, write=sys.stderr.write):
        try:
            work().dispatch_sync()
        except error as refused:
            write(str(refused))

work().dispatch_sync()
sys.late = Late()
"""


def test_a_call_at_the_interpreters_end_does_not_hang(tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
