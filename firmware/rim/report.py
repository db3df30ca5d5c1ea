"""The report: says why, on the serial console, in flash, and hands the LED its number.

Owns the log's look. Loads the catalogue only when something failed, and lets go of it after.
"""

import sys
import time

import keystead
from rim import flash

_STARTED = time.ticks_ms()


def log(text: str) -> None:
    """Print one line on the serial console, with the seconds since the board started."""
    print("[%7.2f] %s" % (time.ticks_diff(time.ticks_ms(), _STARTED) / 1000, text))


def tell(failure) -> int:
    """Log a Failure with its number, cause and remedy; store and return the number."""
    from keystead.catalogue import entry

    number, happened, remedy = entry(failure.reason)
    # a catalogue of 4 KB has no place in the heap of a board that works
    del entry, keystead.catalogue, sys.modules["keystead.catalogue"]
    log("FAILURE %d %s" % (number, failure))
    log("  what happened: " + happened)
    log("  what to do:    " + remedy)
    flash.store_failure(number)
    return number
