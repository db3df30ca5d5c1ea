"""Refusals: a service's error as AMQP's clients know it.

Owns which error of IoT Hub's is which AMQP condition. Doesn't own the errors (emulator/errors.py).
Source: the tables by which Azure's SDKs turn conditions back to exceptions: AmqpErrorMapper.cs of
azure-iot-sdk-csharp and amqp_common_errors.js of azure-iothub for Node.
"""

from host_tools.emulator.amqp import errors
from host_tools.emulator.amqp.errors import MessageRefused
from host_tools.emulator.errors import ServiceError

ARGUMENT_ERROR = "com.microsoft:argument-error"
_BY_CODE = {
    403004: errors.RESOURCE_LIMIT,  # the device's queue is full
    404002: "com.microsoft:iot-hub-not-found-error",
}
_BY_STATUS = {
    400: ARGUMENT_ERROR,
    401: errors.UNAUTHORIZED,
    403: "com.microsoft:quota-exceeded",
    404: errors.NOT_FOUND,
    409: "com.microsoft:device-already-exists",
    412: "com.microsoft:precondition-failed",
    413: errors.MESSAGE_SIZE,
    429: "com.microsoft:device-container-throttled",
    501: errors.NOT_IMPLEMENTED,
    503: "com.microsoft:timeout",
    504: "com.microsoft:timeout",
}


def refused(error: ServiceError) -> MessageRefused:
    """Return what the sender of a message is told."""
    condition = _BY_CODE.get(error.code) or _BY_STATUS.get(error.status, errors.INTERNAL_ERROR)
    return MessageRefused(condition, str(error))
