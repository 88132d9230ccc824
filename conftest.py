"""Options of the whole test suite, and which of its tests stay together."""

import signal

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # so a shell starts what runs in the background; the commands that tests interrupt inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Seconds that one of the integration tests may take.
INTEGRATION_LIMIT = 600


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which brokers to test on."""
    group = parser.getgroup("brokers")
    group.addoption(
        "--brokers",
        choices=["auto", "local", "containers"],
        default="auto",
        help="where brokers come from: containers first (auto), or only one of both",
    )
    group.addoption("--require-brokers", action="store_true", help="fail where a broker is missing")
    group.addoption(
        "--faults-scale", type=int, default=1, metavar="N", help="N times the work in each fault"
    )
    group.addoption("--faults-table", metavar="FILE", help="write what the faults cost to FILE")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes run the tests (``-n``), keep those together that share a server.

    Those with processes and servers of their own wait for more than one thing.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
        if "integration" in item.path.parts and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(INTEGRATION_LIMIT))


def _group(item: pytest.Item) -> str:
    if "rabbitmq_url" in getattr(item, "fixturenames", ()):
        # the local broker may have file handles for few quorum queues only
        return "local RabbitMQ"
    callspec = getattr(item, "callspec", None)
    server = callspec.params.get("application") if callspec else None
    place = "faults" if "faults" in item.path.parts else item.path.name
    return f"{place}-{server or ''}"
