"""The reset circuit of a DevKit: two transistors between DTR and RTS, EN and the boot pin.

Owns when EN rises and what the boot pin is then. Doesn't own clocks (time is an argument) nor the
chip. Source: the schematics of Espressif's DevKits:

  DTR RTS   EN  boot pin        1: the host asserts the line
   0   0    1   1
   1   1    1   1
   1   0    1   0
   0   1    0   1
"""

from enum import Enum

RISE = 0.010  # seconds, of the capacitor at EN
# seconds for which EN stays low while both lines are asserted. A host sets one line after the
# other, and passes through this state on its way from "held in reset" to "boot pin low"; over a
# network that takes tens of milliseconds, in which a real EN has risen and the boot is missed.
# Servers of real ports mend it by doing the reset themselves, this board by waiting.
PASSING = 0.5


class Edge(Enum):
    """What EN did."""

    FELL = "fell"
    ROSE = "rose"  # the boot pin high: the chip runs its program
    ROSE_TO_DOWNLOAD = "rose with the boot pin low"


class ResetCircuit:
    """The pins of one board; `now` is a time in seconds that never goes back."""

    def __init__(self) -> None:
        self.powered = False
        self.dtr = self.rts = False  # asserted by the host
        self.reset_button = self.boot_button = False  # pressed
        self.enabled = False  # EN
        self.rises_at: float | None = None  # when EN will be high

    def change(self, now: float, **pins: bool) -> list[Edge]:
        """Set dtr, rts, powered, reset_button or boot_button; return what EN did until now."""
        edges = self.settle(now)  # with the pins as they were
        for name, level in pins.items():
            setattr(self, name, level)
        if self._pulled_low():
            self.rises_at = None
            if self.enabled:
                self.enabled = False
                edges.append(Edge.FELL)
        elif not self.enabled:
            self.rises_at = now + (PASSING if self.dtr and self.rts else RISE)
        return edges

    def settle(self, now: float) -> list[Edge]:
        """Return what EN did until now; call it when `rises_at` has come."""
        if self.rises_at is None or now < self.rises_at:
            return []
        self.rises_at = None
        self.enabled = True
        low = self.boot_button or (self.dtr and not self.rts)
        return [Edge.ROSE_TO_DOWNLOAD if low else Edge.ROSE]

    def _pulled_low(self) -> bool:
        return not self.powered or self.reset_button or (self.rts and not self.dtr)
