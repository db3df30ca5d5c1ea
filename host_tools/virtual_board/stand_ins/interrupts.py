"""Interrupts of machine.Pin: SIGUSR1 says that the file of the inputs' levels is another."""

import ffi
import micropython
import pins

_USR1 = 10
_watched = {}  # pin's number to [level, trigger, handler, pin]


def watch(pin, number, trigger, handler):
    """Have handler(pin) called soon after an edge, between two instructions, as on ESP32."""
    _watched[number] = [pins.level(number), trigger, handler, pin]
    _signal(_USR1, _on_signal)


def _look(_):
    for number, watched in _watched.items():
        last, trigger, handler, pin = watched
        watched[0] = level = pins.level(number)
        if level != last and handler and trigger & (1 if level else 2):
            handler(pin)


def _interrupt(_):
    try:
        micropython.schedule(_look, 0)
    except RuntimeError:  # the queue is full: this edge is lost, as on the chip
        pass


_signal = ffi.open(None).func("p", "signal", "iC")
_on_signal = ffi.callback("v", _interrupt, "i", lock=True)
