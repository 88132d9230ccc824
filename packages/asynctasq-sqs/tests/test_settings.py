"""Settings, and the errors of invalid ones."""

import subprocess
import sys

import pytest

from asynctasq import Config
from asynctasq.errors import ConfigError
from asynctasq_sqs import SQSSettings

PREFIX = "https://sqs.us-west-2.amazonaws.com/123456789012"


def test_the_keywords_of_the_user_page_are_accepted() -> None:
    config = Config(driver="sqs", sqs_region="us-west-2", sqs_queue_url_prefix=f"{PREFIX}/")
    assert isinstance(config.driver_settings, SQSSettings)


def test_secrets_are_never_shown() -> None:
    settings = SQSSettings(
        aws_access_key_id="AKIA", aws_secret_access_key="s3cret", aws_session_token="t0ken"
    )
    for text in (repr(settings), str(settings.masked()), settings.location()):
        assert "s3cret" not in text
        assert "t0ken" not in text


@pytest.mark.parametrize(
    ("prefix", "kept"),
    [
        (f"{PREFIX}/", f"{PREFIX}/"),
        (PREFIX, f"{PREFIX}/"),
        (f"{PREFIX}/shop-", f"{PREFIX}/shop-"),
        ("http://localhost:5000/123456789012/", "http://localhost:5000/123456789012/"),
    ],
)
def test_a_prefix_is_what_precedes_the_name(prefix: str, kept: str) -> None:
    assert SQSSettings(sqs_queue_url_prefix=prefix).sqs_queue_url_prefix == kept


def test_the_region_follows_from_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert SQSSettings().region() == "eu-west-1"
    assert SQSSettings(sqs_queue_url_prefix=PREFIX).region() == "us-west-2"
    assert SQSSettings(sqs_region="eu-north-1").region() == "eu-north-1"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"sqs_queue_url_prefix": "emails-"}, "sqs_queue_url_prefix.*URL"),
        ({"sqs_queue_url_prefix": "https://sqs.us-west-2.amazonaws.com"}, "account"),
        ({"sqs_endpoint_url": "localhost:5000"}, "sqs_endpoint_url.*URL"),
        ({"sqs_endpoint_url": "http://user:s3cret@localhost:5000"}, "leave them out"),
        ({"aws_access_key_id": "AKIA"}, "go together"),
        ({"aws_secret_access_key": "s3cret"}, "go together"),
        ({"sqs_region": "eu-west-1", "sqs_queue_url_prefix": PREFIX}, "us-west-2"),
        ({"sqs_dead_letter_suffix": ""}, "sqs_dead_letter_suffix"),
        ({"sqs_regoin": "eu-west-1"}, "did you mean 'sqs_region'"),
    ],
)
def test_invalid_settings_are_explained(values: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        SQSSettings(**values)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_client_library_is_imported_on_connect_only() -> None:
    """The import takes a second, which a command's help and other drivers do not need."""
    program = (
        "import sys, asynctasq_sqs; sys.exit(bool({'aioboto3', 'aiohttp'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
