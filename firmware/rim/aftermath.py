"""The aftermath of a failure: say why on the console, in flash and by LED, and wait.

Owns how long. Loaded only when something failed, as is the catalogue with its words.
"""

from keystead.backoff import backoff
from keystead.catalogue import entry
from rim import flash
from rim.led import Led
from rim.log import log

# DPS will say the same until somebody changes the enrollment: ask slowly
_SLOW = ("dps-refused", "dps-unauthorized", "dps-unknown", "dps-rejected", "dps-failed",
         "dps-disabled")  # fmt: skip


def tell(failure) -> int:
    """Log the failure with number, cause and remedy, keep its number in flash, return it."""
    number, happened, remedy = entry(failure.reason)
    log("FAILURE %d %s" % (number, failure))
    log("  what happened: " + happened)
    log("  what to do:    " + remedy)
    flash.store_failure(number)
    return number


def pause(failure, attempt: int, chance: float, feed) -> None:
    """Tell the failure; then wait before the next attempt, blinking its number.

    attempt: failures in a row; chance: in [0, 1).
    """
    number = tell(failure)
    base, ceiling = (60, 7200) if failure.reason in _SLOW else (2, 300)
    wait = failure.retry_after + backoff(attempt, chance, base, ceiling)
    log("  next attempt:  in %d s" % wait)
    Led().blink(number, wait, feed)
