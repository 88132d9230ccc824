"""The usual operations on SQS, on a moto server."""

from pathlib import Path

import pytest

from asynctasq.testing.waiting import until
from integration.application import Application

PREFIX = "https://sqs.us-west-2.amazonaws.com/123456789/"


@pytest.fixture
def settings(sqs_settings: dict[str, str]) -> dict[str, str]:
    """The settings of the SQS page, for the producer."""
    return {**sqs_settings, "sqs_region": "us-west-2", "sqs_queue_url_prefix": PREFIX}


def test_the_command_of_the_users_page_runs_as_written(
    settings: dict[str, str], tmp_path: Path
) -> None:
    credentials = {name: value for name, value in settings.items() if name.startswith("aws_")}
    producer = Application(tmp_path, settings)
    words = ["default", "emails"]
    for queue in words:
        producer.dispatch(("note", {"word": queue}), queue=queue)
    worker = Application(tmp_path, {"driver": "sqlite"})
    worker.worker_settings = credentials
    try:
        worker.start_worker(
            *("--driver", "sqs"),
            *("--sqs-region", "us-west-2"),
            *("--sqs-queue-url-prefix", PREFIX),
            *("--queues", "default,emails"),
            *("--sqs-endpoint-url", settings["sqs_endpoint_url"]),
        )
        until(lambda: worker.log() == dict.fromkeys(words, 1), "a task of each queue ran")
    finally:
        worker.close()
