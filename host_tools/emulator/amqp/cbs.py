"""Cbs: the node $cbs, where a client puts the token that lets it in.

Owns the request and its answer. Doesn't own whether the token is good: that is the door's.
Source: AMQP Claims-based Security 1.0 (OASIS working draft 5), sections 4 and 5, with the names
that Azure's SDKs put in it (azure-uamqp-c cbs.c, amqp_cbs.js of azure-iothub for Node): the
answer's correlation-id is the request's message-id, and status-code is an int.
"""

from collections import deque
from collections.abc import Hashable
from typing import Any

from host_tools.emulator.access import AccessDenied
from host_tools.emulator.amqp.door import Guest
from host_tools.emulator.amqp.ends import Parcel
from host_tools.emulator.amqp.errors import (
    INVALID_FIELD,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT,
    MessageRefused,
)
from host_tools.emulator.amqp.message import Message, Properties

ADDRESS = "$cbs"
_MOST_WAITING = 8  # answers that nobody fetches
_OK, _UNAUTHORIZED = 200, 401


class Cbs:
    """Sink for requests and well of the answers, one per session."""

    largest = 16 * 1024

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._answers: deque[Message] = deque()

    # application properties: operation = put-token, type, name (the audience); body: the token.
    # The type is passed over: SDKs give a SAS token two of them, and nothing else is good here
    def take(self, message: Message, now: float) -> None:
        """Answer a request; raise MessageRefused for one that can not be answered."""
        if message.properties.message_id is None:
            raise MessageRefused(INVALID_FIELD, "a request to $cbs needs a message-id")
        if message.application.get("operation") != "put-token":
            raise MessageRefused(NOT_IMPLEMENTED, "$cbs knows one operation: put-token")
        if len(self._answers) >= _MOST_WAITING:
            raise MessageRefused(RESOURCE_LIMIT, "answers of $cbs wait that nobody receives")
        self._answers.append(_answer(message, *self._outcome(_token(message.body), now)))

    def _outcome(self, token: bytes, now: float) -> tuple[int, str]:
        try:
            self._guest.admit(token, now)
        except AccessDenied:  # why is for the operator, as it is with MQTT
            return _UNAUTHORIZED, "Unauthorized: is the key the policy's, and the clock right?"
        return _OK, "OK"

    def draw(self) -> Parcel | None:
        """Return the next answer."""
        return Parcel(None, self._answers.popleft()) if self._answers else None

    def done(self, token: Hashable) -> None:
        """Forget an answer."""

    def back(self, token: Hashable) -> None:
        """Forget an answer that was not taken: who asked is gone."""


def _token(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode(errors="replace")
    return body if isinstance(body, bytes) else b""


def _answer(request: Message, code: int, description: str) -> Message:
    return Message(
        Properties(correlation_id=request.properties.message_id),
        {"status-code": code, "status-description": description},
        body=None,
    )
