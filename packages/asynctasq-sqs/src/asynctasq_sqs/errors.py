"""Translates exceptions of botocore, and error codes of SQS, into the errors of the seam."""

from typing import Any, cast

from botocore.exceptions import (  # pyright: ignore[reportMissingTypeStubs]
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)
from botocore.exceptions import (  # pyright: ignore[reportMissingTypeStubs]
    ConnectionError as NoConnection,
)

from asynctasq.errors import BrokerError, BrokerRejected, BrokerUnavailable

#: Exceptions that the creation of a client raises.
FAILURES: tuple[type[Exception], ...] = (BotoCoreError, ClientError, OSError, ValueError)

_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
_CREDENTIALS = (
    *("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"),
    *("InvalidAccessKeyId", "InvalidSecurity", "MissingAuthenticationToken"),
    *("IncompleteSignature", "AuthFailure"),
)
_DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "KMS.AccessDenied")
_THROTTLED = (
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
    *("RequestThrottledException", "RequestLimitExceeded", "TooManyRequestsException"),
    *("KMS.ThrottlingException", "SlowDown"),
)
_PASSING = (
    *("InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable"),
    *("ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException", "OverLimit"),
    *("QueueDeletedRecently",),
)
_NO_QUEUE = ("NonExistentQueue", "QueueDoesNotExist")
#: Codes of a batch entry whose receipt handle is no longer valid.
_GONE = (
    *("ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"),
    *("InvalidIdFormat", "ReceiptHandleIsInvalidException"),
)


class NoSuchQueue(BrokerRejected):
    """The queue does not exist."""


class QueueExists(BrokerRejected):
    """The queue exists, with attributes other than the requested ones."""


class LeaseGone(BrokerRejected):
    """The receipt handle is no longer valid."""


def translated(error: BaseException, location: str, operation: str) -> BrokerError:
    """Return the error of the seam for an `error` of this operation."""
    if isinstance(error, ClientError):
        response = cast("dict[str, Any]", cast(Any, error).response)
        code = str(response.get("Error", {}).get("Code", ""))
        text = str(response.get("Error", {}).get("Message", "")).partition("\n")[0]
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return from_code(code, text, location, operation, passes=status >= 500)
    if isinstance(error, NoRegionError):
        return BrokerRejected("no AWS region is configured; set sqs_region")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return BrokerRejected(
            "no AWS credentials were found; set aws_access_key_id and aws_secret_access_key, "
            "or any other source of the AWS chain"
        )
    if isinstance(error, (NoConnection, HTTPClientError, OSError, CredentialRetrievalError)):
        return BrokerUnavailable(f"cannot reach SQS at {location}: {_cause(error)}")
    if isinstance(error, (BotoCoreError, ValueError)):
        return BrokerRejected(f"cannot call SQS at {location}: {_cause(error)}")
    if type(error).__module__.startswith("aiohttp"):
        return BrokerUnavailable(f"cannot reach SQS at {location}: {type(error).__name__}")
    return BrokerUnavailable(
        f"SQS at {location} returned an unreadable reply to {operation}: {type(error).__name__}"
    )


def from_code(
    code: str, text: str, location: str, operation: str, *, passes: bool = False
) -> BrokerError:
    """Return the error for a code of SQS; `passes` if the reply calls it temporary."""
    code = code.removeprefix("AWS.SimpleQueueService.")
    if code in _NO_QUEUE:
        return NoSuchQueue(f"the SQS queue does not exist at {location}")
    if code in ("QueueNameExists", "QueueAlreadyExists"):
        return QueueExists(f"the SQS queue exists at {location}, with other attributes")
    if code in _EXPIRED:
        return BrokerRejected(f"the AWS credentials have expired ({code}); renew them")
    if code in _CREDENTIALS:
        return BrokerRejected(
            f"SQS at {location} refuses the credentials ({code}); check aws_access_key_id "
            "and aws_secret_access_key, or the AWS chain"
        )
    if code in _DENIED:
        action = operation.removesuffix("Batch")
        return BrokerRejected(f"the AWS identity lacks the permission sqs:{action}: {text}")
    if code in _THROTTLED:
        return BrokerUnavailable(f"SQS at {location} throttles {operation} ({code})")
    if passes or code in _PASSING:
        return BrokerUnavailable(f"SQS at {location} is not ready for {operation}: {code}: {text}")
    if code in _GONE and operation in ("DeleteMessageBatch", "ChangeMessageVisibilityBatch"):
        return LeaseGone(f"SQS at {location} does not accept the receipt: {code}")
    return BrokerRejected(f"SQS at {location} refuses {operation}: {code}: {text}")


def _cause(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return str(error).partition("\n")[0] or type(error).__name__
