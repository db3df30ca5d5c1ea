"""ServiceError: what Azure answers when it can not do as asked.

Owns the code of six digits and the message; MQTT topics and HTTP carry its first three digits as
the status. Doesn't own the body's JSON: that differs between DPS and IoT Hub.
"""


class ServiceError(Exception):
    """The service can not do as asked: an error code of six digits, and its message."""

    def __init__(self, code: int, message: str, retry_after: int | None = None) -> None:
        """retry_after: seconds, None where the service gives none."""
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """Return the HTTP status, which is also the one in MQTT's topics."""
        return self.code // 1000
