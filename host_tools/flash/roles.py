"""The parts in the play of flashing: what the steps ask of a port, a ledger, keys, a listener.

Interfaces only. host_tools.flash.link, host_tools.ledger and station.py have them for real; tests
have models.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from host_tools.flash.chip import Chip, Traffic
from host_tools.images.parts import Part
from host_tools.ledger import Identity

Place = tuple[int, int]  # offset in flash, how many bytes


class Port(Protocol):
    """A board on a serial port. Every method raises FlashFailure; nothing is remembered."""

    @property
    def traffic(self) -> Traffic:
        """Return what went over the line so far."""

    def connect(self, baud: int) -> Chip:
        """Put the chip into its loader, at so many bits/s or at 115 200 where it can not."""

    def read(self, places: Sequence[Place]) -> list[bytes]:
        """Return what is in flash at these places."""

    def files(self, image: bytes) -> dict[str, bytes]:
        """Return the files of a filesystem that was read from flash, path to content.

        Here, since a board's bytes are not to be parsed where the group key is.
        """

    def blank(self, offset: int, size: int) -> bool:
        """Tell whether the flash is erased there."""

    def write(self, pieces: Sequence[Part]) -> int:
        """Write what is not there yet, each piece checked by its MD5; return the bytes written."""

    def restart(self) -> None:
        """Reset the chip so that it runs what is in flash."""

    def line(self, seconds: float) -> str | None:
        """Return the next line of the console, None if none comes for so long."""

    def prove(self, nonce: str) -> str:
        """Have the running board sign a nonce; return the line it prints."""


class Book(Protocol):
    """What is needed of a ledger; host_tools.ledger.Ledger is one."""

    def peek(self, batch_name: str, mac: bytes, chip: str) -> Identity:
        """Return what reserve() would, and change nothing."""

    def reserve(self, batch_name: str, mac: bytes, chip: str) -> Identity:
        """Return the board's identity, for ever its own."""

    def begin_attempt(self, registration_id: str, kind: str = "flashing", **facts: Any) -> int:
        """Begin an attempt and return its number."""

    def append(self, registration_id: str, kind: str, **facts: Any) -> object:
        """Append an event."""

    def refuse(self, batch_name: str, mac: bytes, chip: str, **facts: Any) -> object:
        """Append that a board was turned away before anything was written to it."""

    def by_mac(self, mac: bytes) -> Identity | None:
        """Return a board's identity, None if it has none yet."""


class Keys(Protocol):
    """Derives what belongs into a record; the group key is somewhere behind it."""

    def device_keys(self, registration_id: str) -> tuple[bytes, bytes]:
        """Return primary and secondary device key; the secondary may be b""."""


class Told(Protocol):
    """Whom the steps tell how far they are."""

    def step(self, name: str) -> None:
        """Take the step that begins."""

    def chip(self, chip: Chip) -> None:
        """Take what is on the port; FlashFailure where that is being made on another port."""

    def identity(self, identity: Identity) -> None:
        """Take whose it is, or would be."""
