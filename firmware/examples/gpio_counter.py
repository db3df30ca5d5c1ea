"""Counts pulses, of a meter's reed contact say, and keeps the count over a loss of power.

Copy it as app.py. config.json tells the pin, of which only the number is needed:

{"app": {"pin": 14, "debounce": 30, "every": 60}}

A message is {"count": 1234}. The direct method "set" with {"count": 5000} makes the count agree
with the meter's own dial. The count is written to flash every quarter of an hour if it changed,
and so that is what losing power may cost.
"""

import json
import os
import time

import machine

_FILE = "count.json"
_SAVE = 900_000  # milliseconds between two writes: 35 000 a year, spread over the file system


class Counter:
    """Counts falling edges; a contact bounces, so edges soon after one that counted do not."""

    def __init__(self, count: int, debounce: int):
        """debounce: milliseconds."""
        self.count = count
        self._debounce = debounce
        self._last: int | None = None

    def edge(self, now) -> None:
        """Take an edge at now, in ticks. Leaves no garbage: interrupts call it."""
        # ticks wrap after some days without a pulse, and a difference may then be negative
        if self._last is None or not 0 <= time.ticks_diff(now, self._last) < self._debounce:
            self.count += 1
            self._last = now


def load() -> int:
    """Return the count kept in flash, 0 if there is none."""
    try:
        with open(_FILE) as file:
            return int(json.load(file)["count"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def save(count: int) -> None:
    """Keep the count; power may go at any moment, and the old file or the new one is there."""
    with open(_FILE + ".new", "w") as file:
        json.dump({"count": count}, file)
    os.rename(_FILE + ".new", _FILE)


def watch(pin, counter: Counter) -> None:
    """Have pin's falling edges counted."""
    pin.irq(lambda _: counter.edge(time.ticks_ms()), machine.Pin.IRQ_FALLING)


def run(device):
    """Count for ever."""
    settings = device.settings.app or {}
    counter = Counter(load(), settings.get("debounce", 30))
    kept = counter.count
    saved = time.ticks_ms()

    def set_count(argument):
        counter.count = int(argument["count"])
        save(counter.count)
        return {"count": counter.count}

    device.on_method("set", set_count)
    watch(machine.Pin(settings["pin"], machine.Pin.IN, machine.Pin.PULL_UP), counter)
    while True:
        count = counter.count
        if count != kept and not 0 <= time.ticks_diff(time.ticks_ms(), saved) < _SAVE:
            save(count)
            kept, saved = count, time.ticks_ms()
        device.send({"count": count})
        device.wait(settings.get("every", 60))
