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
    """Which queues of which account, and how to reach them.

    Attributes:
        sqs_region: the AWS region; without one the region of `sqs_queue_url_prefix`, else what
            the AWS configuration says (``AWS_REGION``, ``AWS_DEFAULT_REGION``, the profile).
        sqs_queue_url_prefix: what precedes a queue's name in its URL, such as
            ``https://sqs.us-west-2.amazonaws.com/123456789012/`` or, to keep applications apart,
            ``…/123456789012/shop-``; without one, SQS is asked for each URL.
        sqs_endpoint_url: where the API is, if not at AWS.
        aws_access_key_id: who asks; without it the usual AWS chain finds credentials (environment,
            profile, role of the machine).
        aws_secret_access_key: goes with aws_access_key_id.
        aws_session_token: goes with aws_access_key_id when its credentials are temporary.
        sqs_create_queues: whether a queue that does not exist is created, and dead-letter
            queues are wired.
        sqs_dead_letter_suffix: the name of a dead-letter queue is that of its queue and this.
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
            parts = urlsplit(value)
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
        """The region; None when the AWS configuration decides."""
        return self.sqs_region or self._region_of_prefix() or os.environ.get("AWS_REGION")

    def name_prefix(self) -> str:
        """The start of the name of every queue, as the URL prefix has it."""
        return (self.sqs_queue_url_prefix or "").rpartition("/")[2]

    def location(self) -> str:
        """The endpoint, or the region."""
        url = self.sqs_endpoint_url or self.sqs_queue_url_prefix
        return mask_url(url) if url else f"region {self.region() or 'of the AWS configuration'}"

    def _region_of_prefix(self) -> str | None:
        host = urlsplit(self.sqs_queue_url_prefix or "").hostname or ""
        match = _AWS_HOST.fullmatch(host)
        return match["region"] if match else None
