"""The guest: the application, before it starts and after it ended.

Owns what happens then: the connection stays, the traceback goes to the log and the reason to the
twin, and the application is started again, ever more seldom if it ends ever again.
"""

import sys
import time

import machine

import keystead
from keystead.backoff import backoff
from keystead.failure import Failure
from rim.aftermath import tell, trace
from rim.log import log
from rim.memory import chance

_AGAIN = 10, 600  # seconds: base and ceiling of the wait before the next start
_GOOD = 3600  # seconds an application ran, after which its earlier ends are history


def make(feed):
    """Return the Device."""
    log("keystead %s, MAC %s" % (keystead.__version__, machine.unique_id().hex(":")))
    settings = _settings(feed)
    log.level = settings.log
    from rim.device import Device

    device = Device(feed, settings)
    if settings.problem:
        device.told["lastFailure"] = tell(Failure("config-invalid", settings.problem))
    if machine.reset_cause() == machine.WDT_RESET:
        device.told["lastFailure"] = tell(Failure("watchdog"))
    return device


def _settings(feed):
    """Return the configuration; one that can not be used is told, and read again and again."""
    from rim.settings import load

    attempt = 0
    while True:
        try:
            return load()
        except Failure as failure:
            attempt += 1
            wait = backoff(attempt, chance(), *_AGAIN)
            _blink(tell(failure)["number"], wait, feed)


def _blink(number: int, wait: float, feed) -> None:
    from rim.led import show

    log("  next attempt:  in %d s" % wait)
    for tenth in range(int(wait * 10) + 1):
        feed()
        show(number, tenth * 100)
        time.sleep_ms(100)


def rest(device, error) -> None:
    """Wait until the application may be started again; tell what it raised, None for nothing.

    One that returned is not started again: its handlers may be all it wanted to have.
    """
    if error is None:
        log("app.py returned; staying connected")
        while True:
            device.wait(60)
    sys.modules.pop("app", None)  # with whatever it kept
    device.handlers.clear()
    device.kept = ()
    device.tidy()
    try:
        trace(error)
        failure = _named(error)
    except Exception:  # its own words can not be had: too long for the heap, or they raise
        failure = Failure("app-broken", type(error).__name__)
    device.told["lastFailure"] = tell(failure)
    device.stale = True
    device.due = time.ticks_ms()
    device.ends = device.ends + 1 if log.uptime() - device.started < _GOOD else 1
    wait = backoff(device.ends, chance(), *_AGAIN)
    log("  next start:    in %d s" % wait)
    device.wait(wait)
    device.started = log.uptime()


def _named(error) -> Failure:
    if isinstance(error, MemoryError):
        return Failure("out-of-memory", "app.py: " + str(error))
    if isinstance(error, ImportError) and "'app'" in str(error):
        return Failure("app-absent")
    return Failure("app-broken", repr(error))
