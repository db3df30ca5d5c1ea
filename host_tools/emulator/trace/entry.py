"""Entry: what the trace keeps of one packet or event until somebody wants to read it.

Owns the fields and their cost. Doesn't own the words: those are made on demand (words.py).
"""

from typing import NamedTuple

from host_tools.emulator.trace.greeting import Greeting

RECEIVED, SENT, NOTED = "->", "<-", "--"  # from the device, to the device, neither
KEPT = 2048  # bytes of a packet's body
OVERHEAD = 220  # bytes that an entry takes besides its data, measured on CPython 3.11


class Entry(NamedTuple):
    """One packet, or something else that happened; a plain tuple, as thousands go by."""

    number: int  # in its time line, from 1
    time: float  # seconds since 1970
    gap: float  # seconds since the one before
    way: str  # RECEIVED, SENT or NOTED
    first: int  # the packet's first byte; 0 where there is no packet
    data: bytes | str | Greeting | None  # body, cut to KEPT; note; CONNECT; malformed one
    size: int  # bytes of the whole body; 0 where there is no packet

    def __repr__(self) -> str:
        return f"Entry({self.number}, {self.way} {self.first:#04x}, {self.size} bytes)"

    @property
    def cost(self) -> int:
        """Return how many bytes of memory this takes, roughly."""
        return OVERHEAD + (len(self.data) if isinstance(self.data, bytes | str) else 2 * KEPT)

    @property
    def wire(self) -> int:
        """Return how many bytes the packet has on the wire, before TLS; 0 for a note."""
        if self.way == NOTED:
            return 0
        length = 1 + (self.size > 127) + (self.size > 16_383) + (self.size > 2_097_151)
        return 1 + length + self.size
