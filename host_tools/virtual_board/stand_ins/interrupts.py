"""Interrupts of machine.Pin: SIGUSR1 says that the file of the inputs' levels has new lines."""

import ffi
import micropython
import pins

_USR1 = 10
_watched = {}  # pin's number to [level, trigger, handler, pin]
_read = 0  # how far the file was read


def watch(pin, number, trigger, handler):
    """Have handler(pin) called soon after an edge, between two instructions, as on ESP32."""
    _look(0)  # what was before is nothing to this one
    _watched[number] = [pins.level(number), trigger, handler, pin]
    _signal(_USR1, _on_signal)


def _look(_):
    global _read
    for number, level in pins.levels(_read):
        if number in _watched:
            watched = _watched[number]
            last, trigger, handler, pin = watched
            watched[0] = level
            if level != last and handler and trigger & (1 if level else 2):
                handler(pin)
        _read += 1


def _interrupt(_):
    try:
        micropython.schedule(_look, 0)
    except RuntimeError:  # it is on its way already
        pass


_signal = ffi.open(None).func("p", "signal", "iC")
_on_signal = ffi.callback("v", _interrupt, "i", lock=True)
