"""Errors: what the hub's REST answers when it can not do as asked.

Owns the names of the codes, the two bodies and the headers around them. Doesn't own the codes:
they come with ServiceError.
Sources: "Understand IoT Hub error codes"; the error codes in the service clients for C#, Node and
Java, which read these bodies and headers.
"""

import json
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.timestamps import timestamp

JSON = "application/json; charset=utf-8"
ERROR_HEADER = "iothub-errorcode"

# codes of ours for what has a name but no number in Azure
NOT_FOUND, NOT_SERVED, STOPPING = 404000, 501000, 503001

_NAMES = {
    400001: "InvalidProtocolVersion",
    400003: "InvalidOperation",
    400006: "IotHubFormatError",
    400011: "DeviceDefinedMultipleTimes",
    400013: "BulkRegistryOperationFailure",
    403002: "IotHubQuotaExceeded",
    403004: "DeviceMaximumQueueDepthExceeded",
    NOT_FOUND: "NotFound",
    404001: "DeviceNotFound",
    404002: "IotHubNotFound",
    404103: "DeviceNotOnline",
    404104: "DeviceConnectionClosedRemotely",
    413002: "TooManyDevices",
    429002: "ThrottlingBacklogTimeout",
}
_NAMES_BY_STATUS = {
    400: "ArgumentInvalid",
    401: "IotHubUnauthorizedAccess",
    403: "Forbidden",
    404: "DeviceNotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "DeviceAlreadyExists",
    412: "PreconditionFailed",
    413: "MessageTooLarge",
    429: "ThrottlingException",
    500: "ServerError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}


def name(error: ServiceError) -> str:
    """Return the word that stands for the error's code."""
    return _NAMES.get(error.code) or _NAMES_BY_STATUS.get(error.status, "InvalidErrorCode")


# {"Message": "ErrorCode:{name};{message}", "ExceptionMessage": "Tracking ID:{id}"}
def response(error: ServiceError) -> Response:
    """Return what a registry, a twin or a query answers."""
    message = f"ErrorCode:{name(error)};{error}"
    return _response(error, {"Message": message, "ExceptionMessage": f"Tracking ID:{_tracking()}"})


# {"Message": "{\"errorCode\": 404103, \"message\": ..., ...}", "ExceptionMessage": ""}
def nested_response(error: ServiceError) -> Response:
    """Return what a direct method answers: an error within an error, as text."""
    inner = {
        "errorCode": error.code,
        "trackingId": _tracking(),
        "message": str(error),
        "info": {},
        "timestampUtc": timestamp(time.time()),
    }
    return _response(error, {"Message": json.dumps(inner), "ExceptionMessage": ""})


def _response(error: ServiceError, body: dict[str, Any]) -> Response:
    headers = {ERROR_HEADER: name(error), "x-ms-request-id": secrets.token_hex(16)}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    return Response(json.dumps(body), error.status, headers, JSON)


# {32 hex digits}-G:0-TimeStamp:{month}/{day}/{year} {hours}:{minutes}:{seconds}
def _tracking() -> str:
    return f"{secrets.token_hex(16)}-G:0-TimeStamp:{datetime.now(UTC):%m/%d/%Y %H:%M:%S}"
