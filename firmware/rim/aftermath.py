"""The aftermath of a failure: say why on the console, in flash and by LED, and wait.

Owns how long. Loaded only when something failed, as is the catalogue with its words.
"""

from keystead.backoff import backoff
from keystead.catalogue import entry
from rim import flash
from rim.led import Led
from rim.log import log

# the service will say the same until somebody changes something there: ask slowly
_SLOW = ("dps-refused", "dps-unauthorized", "dps-unknown", "dps-rejected", "dps-failed",
         "dps-disabled", "hub-refused")  # fmt: skip


def tell(failure, attempt: int, chance: float, feed) -> None:
    """Tell the failure with number, cause and remedy, and keep its number in flash.

    attempt: failures in a row; then wait before the next one, blinking the number. 0: do not
    wait. chance: in [0, 1).
    """
    try:
        number, happened, remedy = entry(failure.reason)
    except KeyError:  # a Failure of app.py's own
        number, happened, remedy = entry("bug")
    log("FAILURE %d %s" % (number, failure))
    log("  what happened: " + happened)
    log("  what to do:    " + remedy)
    flash.store_failure(number)
    if not attempt:
        return
    base, ceiling = (60, 7200) if failure.reason in _SLOW else (2, 300)
    wait = failure.retry_after + backoff(attempt, chance, base, ceiling)
    log("  next attempt:  in %d s" % wait)
    Led().blink(number, wait, feed)
