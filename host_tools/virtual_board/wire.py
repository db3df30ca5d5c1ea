"""The wire between a chip and its host: bytes both ways, as they arrive.

Owns what happens to them on the way: faults, and two ends that speak at different rates. Doesn't
own what carries them (the lines).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from host_tools.virtual_board.faults import Fault

# what a receiver at another rate sees: no byte of it opens or escapes a SLIP frame
_GARBLED = bytes((byte * 73 + 29) % 191 | 1 for byte in range(256))


def garbled(data: bytes) -> bytes:
    """Return what of data arrives at an end that listens at another rate."""
    return data[::2].translate(_GARBLED)


@dataclass
class Way:
    """One direction; counts the bytes that were sent since the port was opened, and for ever."""

    faults: list[Fault]
    since_opened: int = 0
    total: int = 0

    def carry(self, data: bytes) -> bytes:
        """Return what arrives of data."""
        first = self.since_opened
        self.since_opened += len(data)
        self.total += len(data)
        struck = [fault for fault in self.faults if first < fault.at <= self.since_opened]
        # the last one first and drops after flips, so that none moves another's byte
        for fault in sorted(struck, key=lambda fault: (-fault.at, fault.kind == "drop")):
            data = _strike(fault, data, fault.at - first - 1)
            if not fault.every:
                self.faults.remove(fault)
        return data


def _strike(fault: Fault, data: bytes, index: int) -> bytes:
    if fault.kind == "drop":
        return data[:index] + data[index + 1 :]
    flipped = data[index] ^ 1 << fault.bit
    return data[:index] + bytes((flipped,)) + data[index + 1 :]


class Wire:
    """Both directions, and whether the adapter between them still works."""

    def __init__(self, faults: Sequence[Fault]):
        noise = [fault for fault in faults if fault.kind in ("drop", "flip")]
        self.to_chip = Way([fault for fault in noise if not fault.to_host])
        self.to_host = Way([fault for fault in noise if fault.to_host])
        self._sticks = [fault for fault in faults if fault.kind == "stuck"]
        self._hosts = 0
        self.stuck = False

    def opened(self) -> None:
        """Count from here: a host has opened the port."""
        self._hosts += 1
        self.to_chip.since_opened = self.to_host.since_opened = 0

    def closed(self) -> None:
        """Take note that a host has closed the port."""
        self._hosts -= 1

    def powered(self) -> None:
        """Forget that it was stuck."""
        self.stuck = False

    def from_host(self, data: bytes) -> bytes:
        """Return what arrives at the chip of what a host sends."""
        if self.stuck:
            return b""
        first = self.to_chip.since_opened
        for fault in [fault for fault in self._sticks if first + len(data) >= fault.at]:
            self.stuck = True
            data = data[: max(fault.at - first, 0)]
            if not fault.every:
                self._sticks.remove(fault)
        return self.to_chip.carry(data)

    def from_chip(self, data: bytes) -> bytes:
        """Return what arrives at a host of what the chip sends."""
        if self.stuck or not self._hosts:
            return b""  # nobody there to hear it
        return self.to_host.carry(data)
