"""The start: boot, serve, and after every failure boot again, for ever.

Owns what happens between the boots. The steps of one are in rim.prepare.
"""

import gc
import os
import sys

import machine

import keystead
import rim
from keystead.failure import Failure
from rim.device import Device
from rim.log import log

_WATCHDOG = 120_000  # milliseconds; the longest wait without a feed() is about 60 s
_AT_THE_REPL = 3_600_000  # milliseconds left to somebody who pressed Ctrl-C
# stays in the heap while the board is connected; all else is loaded when a boot needs it
_KEPT = ("keystead", "keystead.failure", "keystead.hub", "keystead.percent",
         "rim", "rim.start", "rim.device", "rim.log", "rim.mqtt", "rim.stream")  # fmt: skip


def run() -> None:
    """Boot, and after every failure boot again. Returns never, but for Ctrl-C."""
    watchdog = machine.WDT(timeout=_WATCHDOG)
    life = Life(watchdog.feed)
    _tell_of_watchdog()
    try:
        while True:
            life.go()
    except KeyboardInterrupt:
        machine.WDT(timeout=_AT_THE_REPL)
        raise
    except MemoryError:  # in the telling of a failure; a text that is there already can be said
        print("[   -   ] FAILURE 12 out-of-memory: no room to say more, the board resets")
        machine.reset()


def _tell_of_watchdog() -> None:
    if machine.reset_cause() == machine.WDT_RESET:
        from rim.aftermath import tell

        tell(Failure("watchdog"))
        del tell
        forget()


def chance() -> float:
    """Return a number in [0, 1)."""
    return int.from_bytes(os.urandom(2), "big") / 65536


def forget() -> None:
    """Unload the modules that only a boot or a failure needs."""
    for name in list(sys.modules):
        package, _, module = name.partition(".")
        if package in ("keystead", "rim") and name not in _KEPT:
            del sys.modules[name]
            delattr(keystead if package == "keystead" else rim, module)
    gc.collect()


class Life:
    """What is remembered between one boot's failure and the next attempt."""

    def __init__(self, feed):
        """feed(): tell the watchdog that there is progress."""
        self._feed = feed
        self._mac = machine.unique_id()
        self._assignment = None
        self._attempt = 0
        log(
            "keystead %s, MAC %s" % (keystead.__version__, ":".join("%02x" % b for b in self._mac))
        )

    def go(self) -> None:
        """Boot once; when it ends, say why and wait."""
        try:
            self._boot()
        except Failure as failure:
            self._fail(failure)
        except MemoryError:
            gc.collect()
            self._fail(Failure("out-of-memory", "%d bytes free" % gc.mem_free()))
        except Exception as error:
            sys.print_exception(error)
            self._fail(Failure("bug", repr(error)))

    def _boot(self) -> None:
        from rim.prepare import prepare

        self._feed()
        self._assignment, token, context = prepare(
            self._mac, self._assignment, chance, self._feed, log
        )
        del prepare
        forget()
        hub, device_id = self._assignment
        device = Device(hub, device_id, token, context, self._feed)
        try:
            self._serve(device)
        finally:
            device.close()

    def _serve(self, device) -> None:
        from rim import flash

        log("hub: connected")
        self._attempt = 0
        flash.store_failure(0)
        del flash
        forget()
        try:
            application()(device)
            log("app.py returned; staying connected")
            while True:
                device.wait(60)
        except (Failure, MemoryError):
            raise
        except Exception as error:
            sys.print_exception(error)
            raise Failure("app-broken", repr(error))

    def _fail(self, failure: Failure) -> None:
        forget()  # room for the catalogue's words
        from rim.aftermath import pause

        if failure.reason == "hub-refused":
            self._assignment = None  # ask DPS: the device may have moved
        self._attempt += 1
        pause(failure, self._attempt, chance(), self._feed)
        del pause
        forget()


def application():
    """Return run of app.py. Raises Failure app-absent."""
    try:
        from app import run
    except ImportError as error:
        if "'app'" in str(error):
            raise Failure("app-absent")
        raise
    return run
