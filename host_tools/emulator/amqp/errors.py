"""Errors: what goes wrong on an AMQP connection, each with the condition that the peer is told.

Owns the conditions' names and how far an error reaches: a Violation ends the connection, a
LinkRefused one link, a MessageRefused one message. Doesn't own what IoT Hub calls its own errors
(refusals.py).
Source: OASIS AMQP 1.0, part 2 (transport), sections 2.8.14 to 2.8.18.
"""

NOT_FOUND = "amqp:not-found"
UNAUTHORIZED = "amqp:unauthorized-access"
DECODE_ERROR = "amqp:decode-error"
NOT_ALLOWED = "amqp:not-allowed"
INVALID_FIELD = "amqp:invalid-field"
NOT_IMPLEMENTED = "amqp:not-implemented"
RESOURCE_LIMIT = "amqp:resource-limit-exceeded"
INTERNAL_ERROR = "amqp:internal-error"
FORCED = "amqp:connection:forced"
FRAMING_ERROR = "amqp:connection:framing-error"
HANDLE_IN_USE = "amqp:session:handle-in-use"
UNATTACHED_HANDLE = "amqp:session:unattached-handle"
MESSAGE_SIZE = "amqp:link:message-size-exceeded"


class AmqpError(Exception):
    """The peer can not have what it asks for; the text says why, without its bytes."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description


class Violation(AmqpError):
    """The peer broke AMQP's rules: the connection ends."""


class LinkRefused(AmqpError):
    """The peer may not have this link, or no longer: it is detached."""


class MessageRefused(AmqpError):
    """This message is not taken: its outcome is "rejected"."""


def malformed(what: str) -> Violation:
    """Return the error for bytes that are not AMQP 1.0."""
    return Violation(DECODE_ERROR, what)
