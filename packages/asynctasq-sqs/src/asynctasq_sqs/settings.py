"""The settings of the SQS driver."""

import os
import re
from typing import ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from asynctasq.drivers import DriverSettings
from asynctasq.settings import mask_url

_AWS_HOST = re.compile(r"sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com|api\.aws)")


class SQSSettings(DriverSettings):
    """The AWS account, its queues, and the credentials.

    Attributes:
        sqs_region: the AWS region; without one the region of `sqs_queue_url_prefix`, else that of
            the AWS configuration (``AWS_REGION``, ``AWS_DEFAULT_REGION``, the profile).
        sqs_queue_url_prefix: the URL of a queue up to its name, such as
            ``https://sqs.us-west-2.amazonaws.com/123456789012/`` or, to keep applications apart,
            ``…/123456789012/shop-``; without one, each URL costs a request.
        sqs_endpoint_url: the URL of the API, if it is not that of AWS.
        aws_access_key_id: the access key; without it the usual AWS chain finds credentials
            (environment, profile, role of the machine).
        aws_secret_access_key: the secret of aws_access_key_id.
        aws_session_token: the token of temporary credentials.
        sqs_create_queues: whether missing queues are created, and dead-letter queues wired.
        sqs_dead_letter_suffix: appended to the name of a queue for its dead-letter queue.
        sqs_message_group: of FIFO queues: one group for the whole ``queue`` (strict order), or
            one for each ``message`` (no order, but any number at once).
    """

    url_field: ClassVar[str | None] = None
    client_loggers: ClassVar[tuple[str, ...]] = ("aioboto3", "aiobotocore", "boto3", "botocore")
    sqs_region: str | None = Field(default=None, min_length=1)
    sqs_queue_url_prefix: str | None = None
    sqs_endpoint_url: str | None = None
    aws_access_key_id: str | None = Field(default=None, min_length=1)
    aws_secret_access_key: SecretStr | None = Field(default=None, min_length=1)
    aws_session_token: SecretStr | None = Field(default=None, min_length=1)
    sqs_create_queues: bool = True
    sqs_dead_letter_suffix: str = Field(default="-dead", pattern=r"^[A-Za-z0-9_-]{1,20}$")
    sqs_message_group: Literal["queue", "message"] = "queue"

    @field_validator("sqs_endpoint_url", "sqs_queue_url_prefix")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parts = urlsplit(value)
            except ValueError:  # its text may quote a password
                raise ValueError("malformed URL") from None
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("write a URL such as https://sqs.us-west-2.amazonaws.com/…")
            if "@" in parts.netloc:
                raise ValueError("SQS takes no user and password from a URL; leave them out")
        return value

    @field_validator("sqs_queue_url_prefix")
    @classmethod
    def _names_an_account(cls, value: str | None) -> str | None:
        if value is None:
            return None
        path = urlsplit(value).path.strip("/")
        if not path:
            raise ValueError("the account is missing: https://sqs.REGION.amazonaws.com/ACCOUNT/")
        return value if "/" in path or value.endswith("/") else value + "/"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("aws_access_key_id and aws_secret_access_key go together")
        of_prefix = self._region_of_prefix()
        if self.sqs_region and of_prefix and self.sqs_region != of_prefix:
            raise ValueError(
                f"sqs_region is {self.sqs_region}, but sqs_queue_url_prefix is in {of_prefix}"
            )
        return self

    def region(self) -> str | None:
        """Return the region; None if the AWS configuration decides."""
        return self.sqs_region or self._region_of_prefix() or os.environ.get("AWS_REGION")

    def name_prefix(self) -> str:
        """Return the start of every queue's name, from the URL prefix."""
        return (self.sqs_queue_url_prefix or "").rpartition("/")[2]

    def location(self) -> str:
        """Return the endpoint, or the region, for people to read."""
        url = self.sqs_endpoint_url or self.sqs_queue_url_prefix
        return mask_url(url) if url else f"region {self.region() or 'of the AWS configuration'}"

    def _region_of_prefix(self) -> str | None:
        host = urlsplit(self.sqs_queue_url_prefix or "").hostname or ""
        match = _AWS_HOST.fullmatch(host)
        return match["region"] if match else None
