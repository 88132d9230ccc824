"""Brokers in containers, started by testcontainers."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

#: Seconds an image may take to be pulled.
PULL_LIMIT = 180.0
#: Seconds a container has to come up.
PATIENCE = 180.0


class NoContainer(Exception):
    """No container can be started; the message gives the reason."""


@contextmanager
def container(
    image: str, port: int, environment: Mapping[str, str]
) -> Generator[tuple[str, int], None, None]:
    """A running container's host, and the port that leads to `port`; it ends with the block.

    Raises:
        NoContainer: no engine answers, or the image cannot be had within the limit.
    """
    from testcontainers.core.container import DockerContainer

    _have_image(image)
    made = DockerContainer(image).with_exposed_ports(port).with_envs(**environment)
    with made as running:
        yield running.get_container_host_ip(), int(running.get_exposed_port(port))


def wait_until_up(image: str, answers: Callable[[], bool]) -> None:
    """Wait until the server takes commands, which is later than its port is open."""
    deadline = time.monotonic() + PATIENCE
    while not answers():
        if time.monotonic() > deadline:
            raise NoContainer(f"the container of {image} did not come up in {PATIENCE:.0f} s")
        time.sleep(0.1)


def _have_image(image: str) -> None:
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=30)
    except DockerException as error:
        raise NoContainer("no Docker engine answers") from error
    try:
        if not client.images.list(name=image):
            _pull(client.api, image)
    except (DockerException, OSError) as error:
        raise NoContainer(f"no image {image}: {error}") from error
    finally:
        client.close()


def _pull(api: Any, image: str) -> None:
    repository, _, tag = image.rpartition(":")
    deadline = time.monotonic() + PULL_LIMIT
    for line in api.pull(repository, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise NoContainer(f"no image {image}: {line['error']}")
        if time.monotonic() > deadline:
            raise NoContainer(f"no image {image}: not pulled within {PULL_LIMIT:.0f} s")
