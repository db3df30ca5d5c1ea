"""Away: what a device does while there is no connection, and how it gets one again.

Owns the waiting, and the order of the steps that lead to a connection; how long to wait is
keystead.course's. Loaded when a connection is made or lost, forgotten when there is one.
"""

import time

from keystead.failure import Failure
from rim.led import show
from rim.log import log
from rim.memory import chance, once

_LOOK = 100  # milliseconds between two looks at LED and clock
_JUMP = 300  # seconds, as rim.device has it


def begin(device) -> None:
    """Give a Device what it remembers from connection to connection, as it is at power-on."""
    device.life = once("keystead.course.begin")
    device.told = {}  # what rim.facts is to tell besides
    device.pending = {}  # reported properties that the hub does not have yet
    device.request = device.due = None  # rim.twin's own notes
    device.stale = False
    device.desired_version = 0  # of the desired properties dealt with last
    device.payload = None  # what DPS's allocation hook returned
    device.saved = device.provisionings = 0  # connections that did not need DPS, and that did
    device.ends = device.started = 0  # rim.guest's, of the application
    device.starved = 0  # times out of memory in a row
    device.asked = time.time()  # when a time server was asked last
    device.spread_out = device.subscribed = device.fresh = False  # rim.connect's own notes
    device.sent = int(chance() * 65536) << 13  # messages, from a number that no boot had before
    device.since, device.time = time.ticks_ms(), time.time()
    _note(device, 0, 0)
    device.complained = ""  # reason of the failure told last that did not cost the connection
    if device.settings.journal:
        try:
            from rim.keeping import open_journal

            device.journal = open_journal(*device.settings.journal)
        except Failure as failure:
            once("rim.aftermath.complain", device, failure)


def _mind_clock(device) -> None:
    """Put the clock in doubt if more or fewer seconds went by than ticks did: it was set off."""
    gone = time.ticks_diff(time.ticks_ms(), device.since) // 1000
    if abs(time.time() - device.time - gone) > _JUMP:
        device.life["doubt"] = 1


def _note(device, wait: int, number: int) -> None:
    """Begin to be connected, or to wait for it (milliseconds) while number is shown."""
    _mind_clock(device)
    device.since = device.turned = time.ticks_ms()
    device.time = time.time()
    device.waits = wait
    device.settled = False  # whether earlier failures are history
    device.readable = True  # whether the journal is
    device.unread = False  # whether a message was not acknowledged
    device.number = number


def turn(device, wait: int) -> None:
    """Wait at most so many milliseconds for the time to try again; try when it has come."""
    gone = time.ticks_diff(time.ticks_ms(), device.since)
    if gone < device.waits:
        device.feed()  # the wait is as long as it was meant to be
        show(device.number, gone)
        time.sleep_ms(min(device.waits - gone, wait, _LOOK))
    else:
        _reach(device)


def renew(device) -> None:
    """Leave the connection for a new one: with a new token, or by way of DPS."""
    if device.reprovision:
        device.life["dps"] = 1
    _close(device)
    _reach(device)


def _close(device) -> None:
    client, device.client = device.client, None
    device.incoming.clear()
    if client:
        client.close()


def _reach(device) -> None:
    _mind_clock(device)
    try:
        wait = _connect(device)
        if wait:
            _note(device, wait * 1000, 0)
            return
        # not deeper in: what is left on the stack there keeps modules of the steps before
        if once("rim.credentials.accepted"):
            device.told["keys"] = "active"
        once("rim.ladder.remember")
        once("keystead.course.connected", device.life)
        _note(device, 0, 0)
        show(0, 0)
        device.renew = device.reprovision = False
        once("rim.twin.catch_up", device)
    except Failure as failure:
        device.fail(failure)
    except MemoryError:
        device.starve()
    except Exception as error:
        once("rim.aftermath.trace", error)
        device.fail(Failure("bug", repr(error)))


def _connect(device) -> int:
    """Connect; return 0, or the seconds to wait first."""
    # each step is unloaded before the next: a board has not the heap for all of them
    who = once("rim.credentials.identity")
    log("factory record: %s, ID scope %s" % who[:2])
    context = once("rim.ground.ground", device, who[2])
    try:
        wait = once("rim.assign.assign", device, who, context)
        if not wait:
            once("rim.connect.connect", device, context)
        return wait
    except Failure as failure:
        once("rim.credentials.refused", device, failure)
        raise


def fail(device, failure: Failure) -> None:
    """Close the connection if there is one, say why, and begin to wait."""
    held = -1
    if device.client:
        held = time.ticks_diff(time.ticks_ms(), device.since) // 1000
        _close(device)
    _note(device, *once("rim.aftermath.after", device, failure, held))
