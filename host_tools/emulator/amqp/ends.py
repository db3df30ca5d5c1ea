"""Ends: what is at our end of a link, as the link sees it.

Owns the two kinds, where messages go and where they come from. Doesn't own the ends there are
(cbs.py, devicebound.py, feedback.py) nor their addresses (nodes.py).
"""

from collections.abc import Hashable
from typing import NamedTuple, Protocol

from host_tools.emulator.amqp.message import Message


class Sink(Protocol):
    """Where messages of a client go."""

    @property
    def largest(self) -> int:
        """Return how many bytes a message may have."""

    def take(self, message: Message, now: float) -> None:
        """Take a message; raise MessageRefused."""


class Parcel(NamedTuple):
    """A message for a client, and the name by which its well hears what became of it."""

    token: Hashable
    message: Message


class Well(Protocol):
    """Where messages for a client come from."""

    def draw(self) -> Parcel | None:
        """Return what is next, None if there is nothing."""

    def done(self, token: Hashable) -> None:
        """Note that the client took a message."""

    def back(self, token: Hashable) -> None:
        """Note that the client did not take a message, or is gone."""
