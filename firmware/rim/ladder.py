"""The ladder: who is asked for the time, one after the other, and what of it is believed.

Owns the order, the RTC and the time in flash. Loaded to ask, forgotten then. A clock that runs is
believed; else NTP servers are asked; else the DPS host by HTTPS, where UDP port 123 is closed. No
time is before the floor: when the image was built, or the day of the time in flash.
"""

import os
import select
import socket
import time

import machine

from keystead import ntp
from keystead.failure import Failure
from rim import clock, flash
from rim.log import log

_DAY = 86_400  # seconds
_PAUSE = 5  # seconds before all servers are asked once more
_LIMIT = 3000  # milliseconds for a server to answer
_SPARED = 8  # servers; a pool has thousands


def ensure(servers, doubt: bool, context, endpoint: str, feed):
    """See to it that the clock is set; return by how many seconds it moved.

    None if nobody was asked, False if nobody answered and the clock stays as it is.
    servers: NTP hosts; doubt: ask though the clock is set;
    context: a tls.SSLContext; endpoint: of DPS. Raises Failure clock-unset.
    """
    floor = max(_kept() - _DAY, clock.BUILT)  # a clock that runs fast must be put back
    before, begun = clock.shown(), time.ticks_ms()
    believed = 0 <= before - floor <= ntp.LATEST
    if believed and not doubt:
        return None
    now, told = 0, ""
    try:
        now, told = _by_ntp(servers, floor, feed)
        if not now:
            from rim.https_date import ask

            # the clock is moved in search of the time
            guess = before if believed else floor
            now = ask(endpoint, context, guess, floor + ntp.LATEST, _show, feed)
            told += "set by HTTPS"
    except Failure as failure:
        told += "HTTPS %s" % failure
    finally:
        before += time.ticks_diff(time.ticks_ms(), begun) // 1000
        _show(now or before)
    if not (now or believed):
        raise Failure("clock-unset", told)
    log("clock: " + told)
    return now - before if now else False


def remember() -> None:
    """Keep the time in flash, once a day at most, or at once if flash has a later one.

    Only a time with which TLS verified a server: it is the floor for all that is asked later.
    """
    now = clock.unix_time()
    if not 0 <= now - _kept() < _DAY:
        flash.save("clock", now.to_bytes(4, "little"))


# Unix time, 4 bytes, least significant first
def _kept() -> int:
    return int.from_bytes(flash.load("clock") or b"", "little")


def _show(unix_time: int) -> None:
    year, month, day, hour, minute, second = time.gmtime(unix_time - clock.EPOCH)[:6]
    machine.RTC().datetime((year, month, day, 0, hour, minute, second, 0))


def _by_ntp(servers, floor: int, feed) -> tuple:
    """Return Unix time, 0 if no server has it, and what each said."""
    for pause in (_PAUSE, 0):
        told = ""
        for host in servers:
            feed()
            try:
                return _ask(host, floor), told + "set by " + host
            except (Failure, OSError) as error:
                told += "%s %s, " % (host, getattr(error, "detail", "") or error.args[0])
        time.sleep(pause)
    return 0, told


def _ask(host: str, floor: int) -> int:
    """Return Unix time, as an NTP server has it. Raises Failure or OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, 123, 0, socket.SOCK_DGRAM)[0]
    place = str(address)
    left = clock.barred.get(place, 0)
    if left:
        clock.barred[place] = left - 1
        raise Failure("clock-unset", "not asked")
    raw = socket.socket(family, socket.SOCK_DGRAM)
    try:
        return _exchange(raw, address, floor)
    except Failure as failure:
        if failure.retry_after:
            if len(clock.barred) > _SPARED:
                clock.barred.clear()
            # counted in questions, one a minute: there is no clock to go by
            clock.barred[place] = failure.retry_after // 60
        raise
    finally:
        raw.close()


def _exchange(raw, address, floor: int) -> int:
    raw.setblocking(False)
    raw.connect(address)  # nobody else is heard then
    poller = select.poll()
    poller.register(raw, select.POLLIN)
    nonce = os.urandom(8)
    begun = time.ticks_ms()
    raw.send(ntp.question(nonce))
    passed = 0
    while passed < _LIMIT and poller.poll(_LIMIT - passed):
        passed = time.ticks_diff(time.ticks_ms(), begun)
        now = ntp.read(raw.recv(48), nonce, floor, passed // 2)
        if now:
            return now
    raise Failure("no-answer")
