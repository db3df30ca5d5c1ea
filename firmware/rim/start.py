"""The start: boot, serve, and after every failure boot again, for ever.

Owns what happens between the boots. The steps of one are in rim.prepare.
"""

import gc
import os
import sys
import time

import machine

import keystead
from keystead.failure import Failure
from rim.device import Device
from rim.log import log
from rim.memory import forget_all_but

_WATCHDOG = 120_000  # milliseconds; the longest wait without a feed() is one limit, 30 s, and DNS
_BREATH = 10  # seconds before a reset that nothing else slows down
_AT_THE_REPL = 3_600_000  # milliseconds left to somebody who pressed Ctrl-C
_SETTLED = 600_000  # milliseconds connected, after which earlier failures are history
_PATIENCE = 10  # attempts to reach the hub, about a quarter of an hour: then DPS is asked again
_STARVED = 3  # times out of memory in a row: then only a reset gives it back
# stays in the heap while the board is connected; all else is loaded when it is needed
_KEPT = ("keystead.failure", "keystead.hub", "keystead.percent", "rim.start", "rim.device",
         "rim.log", "rim.memory", "rim.mqtt", "rim.stream")  # fmt: skip


def run() -> None:
    """Boot, and after every failure boot again. Returns never, but for Ctrl-C."""
    watchdog = machine.WDT(timeout=_WATCHDOG)
    try:
        life = Life(watchdog.feed)
        while True:
            life.go()
    except KeyboardInterrupt:
        machine.WDT(timeout=_AT_THE_REPL)
        raise
    except MemoryError:  # in the telling of a failure; a text that is there already can be said
        print("[   -   ] FAILURE 12 out-of-memory: no room to say more, the board resets")
    except Exception as error:
        sys.print_exception(error)
        time.sleep(_BREATH)
    machine.reset()


def chance() -> float:
    """Return a number in [0, 1)."""
    return int.from_bytes(os.urandom(2), "big") / 65536


class Life:
    """What is remembered between one boot's failure and the next attempt."""

    def __init__(self, feed):
        """feed(): tell the watchdog that there is progress."""
        self._watchdog = feed
        self._mac = machine.unique_id()
        self._assignment = None
        self._second = False  # whether to sign with the secondary key
        self._doubt = False  # whether the clock may be what was refused
        self._kept: tuple = _KEPT  # with what app.py imported of ours
        self._attempt = 0  # failures in a row
        self._unreached = 0  # of them, since the hub was reached or DPS was asked
        self._starved = 0  # of them, for want of memory
        self._since = None  # ticks at which the hub was reached, until that has settled
        mac = ":".join("%02x" % byte for byte in self._mac)
        log("keystead %s, MAC %s" % (keystead.__version__, mac))
        if machine.reset_cause() == machine.WDT_RESET:
            self._tell(Failure("watchdog"))

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

    def _feed(self) -> None:
        self._watchdog()
        if self._since is not None and time.ticks_diff(time.ticks_ms(), self._since) > _SETTLED:
            self._since = None
            self._attempt = self._starved = 0
            try:
                from rim.flash import store_failure

                store_failure(0)
                del store_failure
            except MemoryError:  # app.py has it all: the number can wait
                pass
            forget_all_but(self._kept)

    def _boot(self) -> None:
        device = Device(self._renew, self._feed)
        try:
            forget_all_but(_KEPT)
            log("hub: connected")
            self._unreached = 0
            self._doubt = False
            self._since = time.ticks_ms()
            run = _application()
            self._kept = tuple(sys.modules)
            _serve(run, device)
        finally:
            self._since = None
            device.close()

    def _renew(self) -> tuple:
        from rim.prepare import prepare

        self._assignment, token, context = prepare(
            self._mac, self._assignment, self._second, self._doubt, chance, self._feed
        )
        del prepare
        forget_all_but(self._kept)
        hub, device_id = self._assignment
        return hub, device_id, token, context

    def _fail(self, failure: Failure) -> None:
        self._attempt += 1
        reason = failure.reason
        self._starved = self._starved + 1 if reason == "out-of-memory" else 0
        self._doubt = reason in ("dps-unauthorized", "dps-refused", "hub-refused", "tls-expired")
        if self._doubt:
            self._second = not self._second  # with one key only this changes nothing
        self._unreached += 1
        if reason == "hub-refused" or self._unreached >= _PATIENCE:
            self._assignment = None  # ask DPS: the device may have moved
            self._unreached = 0
        self._tell(failure, self._attempt)
        if self._starved >= _STARVED:
            machine.reset()

    def _tell(self, failure: Failure, attempt: int = 0) -> None:
        sys.modules.pop("app", None)  # with whatever it kept
        self._kept = _KEPT
        forget_all_but(_KEPT)  # room for the catalogue's words
        from rim.aftermath import tell

        tell(failure, attempt, chance(), self._watchdog)
        del tell
        forget_all_but(_KEPT)


def _serve(run, device) -> None:
    try:
        run(device)
        log("app.py returned; staying connected")
        while True:
            device.wait(60)
    except (Failure, MemoryError):
        raise
    except Exception as error:
        sys.print_exception(error)
        raise Failure("app-broken", repr(error))


def _application():
    try:
        from app import run
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, ImportError) and "'app'" in str(error):
            raise Failure("app-absent")
        sys.print_exception(error)
        raise Failure("app-broken", repr(error))
    return run
