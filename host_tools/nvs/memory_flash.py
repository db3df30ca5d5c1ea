"""NOR flash in memory: what Store works upon when there is no chip, and the protocol of any."""

from typing import Protocol


class Flash(Protocol):
    """NOR flash: writing only clears bits, erasing sets all of a sector. Offsets in bytes."""

    def read(self, offset: int, n: int, /) -> bytes:
        """Return n bytes."""

    def write(self, offset: int, data: bytes, /) -> None:
        """Clear the bits that are 0 in data."""

    def erase(self, offset: int, n: int, /) -> None:
        """Set all bits of whole sectors of 4096 bytes."""


class Region(Protocol):
    """A part of the flash, in bytes."""

    @property
    def offset(self) -> int:
        """Where it begins."""

    @property
    def size(self) -> int:
        """How long it is."""


class MemoryFlash:
    """Flash that lives as long as the object; content is what is on it."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)

    def read(self, offset: int, n: int) -> bytes:
        """Return n bytes from offset on."""
        return bytes(self.content[offset : offset + n])

    def write(self, offset: int, data: bytes) -> None:
        """Clear the bits that are 0 in data, as NOR flash does."""
        end = offset + len(data)
        kept = int.from_bytes(self.content[offset:end], "little") & int.from_bytes(data, "little")
        self.content[offset:end] = kept.to_bytes(len(data), "little")

    def erase(self, offset: int, n: int) -> None:
        """Set n bytes from offset on to 0xff."""
        self.content[offset : offset + n] = b"\xff" * n
