"""The LED: blinks a failure's number, tens, a pause, units, while the board waits.

Owns the pin that the board's own module `board` names; a board without one stays dark.
"""

import time

import machine

_ON, _OFF, _BETWEEN, _AFTER = 200, 300, 900, 2000  # milliseconds


class Led:
    """One LED, or none."""

    def __init__(self):
        """Look up board.LED, a pin number or None."""
        self._pin = None
        try:
            import board

            if getattr(board, "LED", None) is not None:
                self._pin = machine.Pin(board.LED, machine.Pin.OUT, value=0)
        except (ImportError, ValueError):  # no board.py, or a pin that this chip has not
            pass

    def blink(self, number: int, seconds: float, feed) -> None:
        """Blink number again and again for about seconds, or wait as long in the dark."""
        begun = time.ticks_ms()
        limit = int(seconds * 1000)
        while time.ticks_diff(time.ticks_ms(), begun) < limit:
            if self._pin is None:
                self._sleep(min(1000, limit), feed)
                continue
            self._digit(self._pin, number // 10, _BETWEEN, feed)
            self._digit(self._pin, number % 10, _AFTER, feed)

    def _digit(self, pin, count, pause, feed) -> None:
        for _ in range(count):
            pin.value(1)
            time.sleep_ms(_ON)
            pin.value(0)
            time.sleep_ms(_OFF)
        self._sleep(pause, feed)

    def _sleep(self, milliseconds, feed) -> None:
        feed()
        time.sleep_ms(milliseconds)
