"""machine.Pin: outputs are written down, inputs read what a test wrote."""

import chip
import utime


def level(number):
    """Return what an input sees: the file `inputs` beside the NVS has lines of pin and level."""
    try:
        with open(chip.NVS + "/inputs") as file:
            for line in file:
                pin, value = line.split()
                if int(pin) == number:
                    return int(value)
    except OSError:  # nothing is wired to any pin
        pass
    return 1  # the pull-up's


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
            ticks = utime.ticks_ms() * chip.SPEED
            with open(chip.NVS + "/pins", "a") as file:
                file.write("%d %d %d\n" % (ticks, self._number, new))

    def irq(self, handler=None, trigger=IRQ_RISING | IRQ_FALLING):
        from interrupts import watch

        watch(self, self._number, trigger, handler)
