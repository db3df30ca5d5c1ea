"""machine.Pin: outputs are written down, inputs read what a test wrote."""

import chip
import world


def levels(first=0):
    """Give (pin, level) for each line of the file `inputs` beside the NVS, the newest last."""
    try:
        with open(chip.NVS + "/inputs") as file:
            for line in file:
                if first > 0:
                    first -= 1
                elif line.endswith("\n"):
                    yield tuple(map(int, line.split()))
    except OSError:  # nothing is wired to any pin
        pass


def level(number):
    """Return what an input sees; while nothing drives it, its pull-up."""
    found = 1
    for pin, new in levels():
        if pin == number:
            found = new
    return found


class Pin:
    """A pin. Each change of an output is written down beside the NVS: chip ticks, pin, value."""

    IN = 1
    OUT = 3
    PULL_UP = 2
    PULL_DOWN = 1
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, number, mode=-1, pull=-1, *, value=None):
        if number not in range(49):
            raise ValueError("invalid pin")
        self._number = number
        self._driven = None
        if value is not None:
            self.value(value)

    def value(self, new=None):
        if new is None:
            return level(self._number)
        if new != self._driven:
            self._driven = new
            with open(chip.NVS + "/pins", "a") as file:
                file.write("%d %d %d\n" % (world.ticks_ms(), self._number, new))

    def irq(self, handler=None, trigger=IRQ_RISING | IRQ_FALLING):
        from interrupts import watch

        watch(self, self._number, trigger, handler)
