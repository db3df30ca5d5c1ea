"""The aftermath of a failure: say why on the console, in flash and for the twin, and how to go on.

Owns the order of that; words and numbers are rim.words', waits keystead.course's. Loaded only when
something failed.
"""

import sys
from io import StringIO

import machine

from keystead.course import failed, lost, settled
from keystead.failure import Failure
from rim import clock, flash
from rim.log import ERROR, log
from rim.memory import chance
from rim.words import entry

_STARVED = 3  # times out of something in a row: then only a reset gives it back
_SCARCE = 12, 14  # memory, sockets


def tell(failure: Failure) -> dict:
    """Tell a failure with number, cause and remedy; keep its number in flash.

    Returns what the twin is to know of it; "at" is "" while the time is not known.
    """
    number, _, happened, remedy = entry(failure.reason)
    log("FAILURE %d %s" % (number, failure), ERROR)
    # the log keeps what the number does not say
    print("  what happened: %s\n  what to do:    %s" % (happened, remedy))
    flash.store_failure(number)
    at = clock.stamp() if clock.is_set() else ""
    return {"number": number, "reason": failure.reason, "text": str(failure), "at": at}


def complain(device, failure: Failure) -> None:
    """Tell a failure that does not cost the connection: once, until another is told."""
    if device.complained != failure.reason:
        device.complained = failure.reason
        device.told["lastFailure"] = tell(failure)


def trace(error) -> None:
    """Write an exception's traceback to the log."""
    text = StringIO()
    sys.print_exception(error, text)
    for line in text.getvalue().strip().split("\n"):
        log(line, ERROR)


def after(device, failure: Failure, held: int) -> tuple[int, int]:
    """Take the failure of a connection that held so many seconds (-1: there was none).

    Returns (milliseconds to wait before the next attempt, number to blink).
    """
    life = device.life
    if held >= 0 and lost(life, held) and failure.reason != "out-of-memory":
        failure = Failure("hub-flapping", str(failure))
    told = device.told["lastFailure"] = tell(failure)
    wait = failed(life, failure, log.uptime(), chance())
    device.starved = device.starved + 1 if told["number"] in _SCARCE else 0
    if device.starved >= _STARVED:
        machine.reset()
    log("  next attempt:  in %d s" % wait)
    return int(wait * 1000), told["number"]


def settle(device) -> None:
    """Earlier failures are history: the connection has held for long."""
    device.settled = True
    device.starved = 0
    settled(device.life)
    flash.store_failure(0)
