"""Peer: a device that got through CONNECT, as its service sees it.

Owns what session.py and the two services say to each other. Doesn't own a socket or a packet ID.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from host_tools.emulator.mqtt.packets import Publish

# any date is taken, a preview's too: what differs between them is not served here
API_VERSION = "[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-[a-z]+)?"


class Message(NamedTuple):
    """What a service sends to a device."""

    topic: str
    payload: bytes
    qos: int
    token: Hashable = None  # given back by acknowledged() when the device's PUBACK came
    delay: float = 0  # seconds it is held back, to the next look at the clock


class Hangup(Exception):
    """The service ends the connection, as Azure does; the text says why."""


class Peer(ABC):
    """One device at one service."""

    service: str  # for people: "DPS" or the hub's name
    device_id: str
    api_version: str
    expiry: float  # of the token that let it in, seconds since 1970
    largest: int  # bytes of a packet it may send
    session_present = False
    key: Hashable = None  # a newer peer with the same key takes over; None: never
    push: Callable[[Message], None]  # set by the session: sends what nobody asked for
    drop: Callable[[str, float], None]  # set by the session: ends the connection, says why

    @abstractmethod
    def subscribe(self, topic_filter: str, qos: int) -> int:
        """Return the granted QoS, or raise Hangup."""

    @abstractmethod
    def unsubscribe(self, topic_filter: str) -> None:
        """Forget a filter, if it was there."""

    @abstractmethod
    def publish(self, message: Publish, now: float) -> Iterable[Message]:
        """Take a message, return what is answered, or raise Hangup."""

    def connected(self, now: float) -> Iterable[Message]:
        """Return what the device hears first, right behind CONNACK."""
        return ()

    def subscribed(self, now: float) -> Iterable[Message]:
        """Return what the device hears right behind SUBACK."""
        return ()

    def acknowledged(self, token: Hashable, now: float) -> None:  # noqa: B027
        """Take note that a message of QoS 1 with this token arrived."""

    def left(self, now: float, orderly: bool) -> None:  # noqa: B027
        """Note that the connection ended, in order with DISCONNECT or not."""
