"""The LED: a failure's number as a function of time, so that nobody has to wait for it.

Owns the pin that the board's own module `board` names; a board without one stays dark.

    32, a # or . is 100 ms:  ##...##...##............##...##.......................
"""

import machine

_ON, _BLINK, _BETWEEN, _AFTER = 200, 500, 900, 2000  # milliseconds


def _find():
    try:
        import board

        if getattr(board, "LED", None) is not None:
            return machine.Pin(board.LED, machine.Pin.OUT, value=0)
    except (ImportError, ValueError):  # no board.py, or a pin that this chip has not
        pass


_pin = _find()


def show(number: int, elapsed: int) -> None:
    """Light the LED or not, as it must be elapsed milliseconds after number began; 0 is dark."""
    if _pin:
        lit = number // 10 * _BLINK
        units = number % 10 * _BLINK
        elapsed %= lit + _BETWEEN + units + _AFTER
        if elapsed >= lit + _BETWEEN:
            elapsed -= lit + _BETWEEN
            lit = units
        _pin.value(elapsed < lit and elapsed % _BLINK < _ON)
