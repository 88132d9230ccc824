"""The contract on the SQS that is there: a server of moto's."""

from typing import ClassVar

import pytest
from pydantic import SecretStr

from asynctasq.testing.contract import DriverContract, InspectorContract, NewDriver
from asynctasq_sqs import SQSDriver, SQSSettings


class TestSQS(DriverContract, InspectorContract):
    large: ClassVar[int] = 60  # a look at a queue costs moto time for each message that waits

    @pytest.fixture
    def new_driver(self, sqs_settings: dict[str, str]) -> NewDriver:
        settings = SQSSettings(
            sqs_endpoint_url=sqs_settings["sqs_endpoint_url"],
            sqs_region=sqs_settings["sqs_region"],
            aws_access_key_id=sqs_settings["aws_access_key_id"],
            aws_secret_access_key=SecretStr(sqs_settings["aws_secret_access_key"]),
        )
        return lambda: SQSDriver(settings)
