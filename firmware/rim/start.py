"""The start: one boot after the other, from MAC to application, for ever.

Owns the order of the steps and what happens after a failure. Each step is somebody else's.
"""

import gc
import sys

import keystead
import machine
from keystead.backoff import backoff
from keystead.failure import Failure
from keystead.record import unpack
from keystead.registration_id import format_mac
from rim import clock, cloud, config, flash, roots, wifi
from rim.led import Led
from rim.report import log, tell

_WATCHDOG = 120_000  # milliseconds; the longest wait without a feed() is about 50 s
_AT_THE_REPL = 3_600_000  # milliseconds left to somebody who pressed Ctrl-C
# DPS will say the same until somebody changes the enrollment: ask slowly
_SLOW = ("dps-refused", "dps-unauthorized", "dps-unknown", "dps-rejected", "dps-failed",
         "dps-disabled")  # fmt: skip


def run() -> None:
    """Boot, and after every failure boot again. Returns never, but for Ctrl-C."""
    watchdog = machine.WDT(timeout=_WATCHDOG)
    life = Life(watchdog.feed)
    mac = machine.unique_id()
    log("keystead %s, MAC %s" % (keystead.__version__, format_mac(mac, ":")))
    try:
        while True:
            life.go(mac)
    except KeyboardInterrupt:
        machine.WDT(timeout=_AT_THE_REPL)
        raise


class Life:
    """What is remembered between one boot's failure and the next attempt."""

    def __init__(self, feed):
        """feed(): tell the watchdog that there is progress."""
        self._feed = feed
        self._led = Led()
        self._assignment = None
        self._attempt = 0

    def go(self, mac: bytes) -> None:
        """Boot once; when it ends, say why and wait."""
        try:
            self._boot(mac)
        except Failure as failure:
            self._fail(failure)
        except MemoryError:
            gc.collect()
            self._fail(Failure("out-of-memory", "%d bytes free" % gc.mem_free()))
        except Exception as error:
            sys.print_exception(error)
            self._fail(Failure("bug", repr(error)))

    def _boot(self, mac: bytes) -> None:
        self._feed()
        record = unpack(flash.load_record(), mac)
        log("factory record: %s, ID scope %s" % (record.registration_id, record.id_scope))
        networks, ntp_host = config.load()
        log("network: " + wifi.join(networks, self._feed))
        if not clock.is_set():
            clock.synchronise(ntp_host)
        log("clock: " + clock.stamp())
        context = roots.context()
        if self._assignment is None:
            self._assignment = cloud.provision(record, context, self._feed, log)
            gc.collect()
        log("assigned hub: %s, device ID: %s" % (self._assignment.hub, self._assignment.device_id))
        self._serve(cloud.Device(record, self._assignment, context, self._feed))

    def _serve(self, device) -> None:
        try:
            log("hub: connected")
            self._attempt = 0
            flash.store_failure(0)
            _application()(device)
            log("app.py returned; staying connected")
            while True:
                device.wait(60)
        except (Failure, MemoryError):
            raise
        except Exception as error:
            sys.print_exception(error)
            raise Failure("app-broken", repr(error))
        finally:
            device.close()

    def _fail(self, failure: Failure) -> None:
        if failure.reason == "hub-refused":
            self._assignment = None  # ask DPS: the device may have moved
        self._attempt += 1
        number = tell(failure)
        slow = failure.reason in _SLOW
        base, ceiling = (60, 7200) if slow else (2, 300)
        wait = failure.retry_after + backoff(self._attempt, cloud.chance(), base, ceiling)
        log("  next attempt:  in %d s" % wait)
        gc.collect()
        self._led.blink(number, wait, self._feed)


def _application():
    try:
        from app import run
    except ImportError as error:
        if "app" in str(error):
            raise Failure("app-absent")
        raise
    return run
