"""Door: what AMQP asks of the hubs behind it, and who is at the other end of a connection.

Owns the three questions and who asked. Doesn't own the answers: hub_door.py gets them from hubs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host_tools.emulator.amqp.errors import UNAUTHORIZED, LinkRefused
from host_tools.emulator.hub.messages import CloudMessage, Feedback


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose token was good."""

    hub: str  # the hub's name
    policy: str
    expiry: float  # of the token, seconds since 1970


class FeedbackReader(Protocol):
    """One receiver's view of a hub's feedback: what one takes, no other gets."""

    def take(self, most: int) -> Sequence[Feedback]:
        """Return the oldest records, at most so many; none if there are none."""

    def back(self, records: Sequence[Feedback]) -> None:
        """Put records back that were taken, for whoever asks next."""


class Door(Protocol):
    """The hubs, as AMQP sees them."""

    def authenticate(self, token: bytes, host: str, now: float) -> Principal:
        """Return who may send and hear feedback with this token; raise AccessDenied.

        host: of the hub as the client named it, perhaps with a port; "" if it did not.
        """

    def send(
        self, principal: Principal, device_id: str, message: CloudMessage, now: float
    ) -> None:
        """Queue a message for a device; raise ServiceError."""

    def feedback(self, principal: Principal) -> FeedbackReader:
        """Return where feedback for a hub's senders comes from."""

    def left(self, principal: Principal | None, address: str, why: str, now: float) -> None:
        """Note that a connection from address ended; principal: None if no token was good."""


class Guest:
    """Who is at the other end of one connection: nobody known, until a token was good."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.host = ""  # of the hub, as the client named it
        self.principal: Principal | None = None

    def admit(self, token: bytes, now: float) -> None:
        """Take a first token or a newer one; raise AccessDenied, and the older one stays good."""
        self.principal = self.door.authenticate(token, self.host, now)

    def left(self, address: str, why: str, now: float) -> None:
        """Note that the connection ended."""
        self.door.left(self.principal, address, why, now)

    def known(self) -> Principal:
        """Return who it is; raise LinkRefused."""
        if self.principal is None:
            raise LinkRefused(UNAUTHORIZED, "put a token to $cbs first")
        return self.principal
