"""The status: all that a technician at the serial console needs to see, and no secret.

Loaded by `import status` at the REPL. Each fact is asked on its own: where one can not be told,
the reason stands in its place.
"""

import gc
import sys

import machine

import keystead
import rim
from rim import clock, flash
from rim.log import log

_LINES = 12
_CAUSES = ("unknown", "power-on", "reset", "watchdog", "deep sleep", "soft reset")


def show() -> None:
    """Print it."""
    for name, tell in (
        ("firmware", _firmware), ("device", _device), ("network", _network), ("clock", _clock),
        ("hub", _hub), ("failure", _failure), ("journal", _journal), ("heap", _heap),
    ):  # fmt: skip
        try:
            text = tell()
        except Exception as error:
            text = str(error)
        print("%-8s  %s" % (name, text))
    print("the last lines of the log:")
    for line in log.lines(_LINES):
        print(line)
    print("Ctrl-D starts again")


def _firmware():
    version = "%d.%d.%d" % sys.implementation.version[:3]
    cause = _CAUSES[machine.reset_cause()]
    return "keystead %s, MicroPython %s, started by %s" % (keystead.__version__, version, cause)


def _record():
    from keystead.record import unpack

    return unpack(flash.load_record(), machine.unique_id())


def _device():
    record = _record()
    mac = machine.unique_id().hex(":")
    return "%s, ID scope %s, MAC %s" % (record.registration_id, record.id_scope, mac)


def _network():
    nic = rim.uplink and rim.uplink[0]
    return nic.ifconfig()[0] if nic and nic.isconnected() else "not joined"


def _clock():
    return clock.stamp() if clock.is_set() else "not set"


def _hub():
    from keystead.assignment import unpack

    assigned = unpack(flash.load("hub"), _record().crc())
    if not assigned:
        return "not assigned yet"
    hub, device_id, since = assigned
    if not clock.is_set():
        return "%s, %s" % (hub, device_id)
    return "%s, %s, for %d days" % (hub, device_id, (clock.shown() - since) // 86400)


def _failure():
    number = flash.last_failure()
    if not number:
        return "none"
    from rim.words import entry

    return "%d %s\n  what happened: %s\n  what to do:    %s" % entry(str(number))


def _journal():
    from rim.settings import load

    size = load().journal
    if not size:
        return "not configured"
    from rim.keeping import open_journal

    journal = open_journal(*size)
    return "%d messages wait, %d were dropped" % (journal.count, journal.dropped)


def _heap():
    gc.collect()
    return "%d bytes are free" % gc.mem_free()
