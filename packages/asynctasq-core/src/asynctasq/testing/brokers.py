"""Where the tests of a driver find a broker, and what they do without one.

The option ``--brokers`` of the repository's test suite decides: with ``none``, its default, a test
uses no server that it was not given by URL; with any other value, also a server on localhost, and
private servers that it starts itself.
"""

import os
import shutil
import socket
from typing import NoReturn

import pytest


def do_without(request: pytest.FixtureRequest, reason: str) -> NoReturn:
    """Skip the test, or fail it where brokers are required."""
    if request.config.getoption("--require-brokers", default=False):
        pytest.fail(reason)
    pytest.skip(reason)


def may_use_servers(request: pytest.FixtureRequest) -> bool:
    """Whether tests may use servers on localhost, and start some."""
    return request.config.getoption("--brokers", default="local") != "none"


def shared_url(request: pytest.FixtureRequest, broker: str, port: int, url: str) -> str:
    """The URL of a server that is there already.

    It is the value of ``ASYNCTASQ_TEST_<BROKER>_URL``, or `url` if a server listens on `port` of
    localhost and may be used.
    """
    variable = f"ASYNCTASQ_TEST_{broker.upper()}_URL"
    if given := os.environ.get(variable):
        return given
    if not may_use_servers(request):
        do_without(request, f"needs {broker}: set {variable}, or give --brokers=local")
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        do_without(request, f"no {broker}: set {variable}, or start one on localhost:{port}")
    return url


def find_program(request: pytest.FixtureRequest, *names: str) -> str:
    """The path of the first of these programs on PATH, to start a private server with."""
    if not may_use_servers(request):
        do_without(request, f"starts {names[0]}: give --brokers=local")
    for name in names:
        if found := shutil.which(name):
            return found
    do_without(request, f"there is no {names[0]} to start")


def add_server_directories() -> None:
    """Add the directories in which systems keep servers to PATH: not every user has them there."""
    directories = ("/usr/sbin", "/usr/local/sbin", "/sbin")
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *directories])
