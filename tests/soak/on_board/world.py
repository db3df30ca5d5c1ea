"""The world around the chip, when a soak has it in its hands: no time goes by unless it says so.

What the chip waits for is asked of the soak over a socket, number "line" of the chip file:
"I wait so long". It answers how much of that is over, maybe nothing, what else has changed, and
for how long nothing will: so long the chip sleeps without asking, and looks without asking where
it looks again soon anyway. All else that it does takes no time. The other end is
tests/soak/board.py, which has the layout of question and answer.
"""

import builtins
import random
import struct

import uselect

_FOREVER = 0x3FFFFFFF
_NEVER = -1  # the power goes
_DNS = 14_000  # milliseconds that lwIP asks for a name in vain
_PATIENCE = 200  # looks without waiting before a millisecond goes by: time must not stand still
_question = bytearray(25)
_answer = bytearray(17)
_line = None
drafts = ""  # where files in flash are written before they are there
_ticks = 0
_seconds = 0  # since power-on, as the chip's clock counts them
_milliseconds = 0  # of the next second
_true = 0  # Unix time at power-on
_steps = 0  # that the chip's clock was set off by since
_bite = -1  # milliseconds until the watchdog bites, -1: there is none
_air = 3  # 1: the radio reaches the network, 2: the network reaches the world
_cut = -1  # bytes to flash that the power lasts for, -1: it stays
_writes = 0
_written = 0  # bytes
_chip = None
_arrivals = 0  # answers before which something came
_looks = 0  # without waiting, since time went by
_SOON = 1000  # milliseconds
_free = 0  # milliseconds in which nothing happens but here
_slept = 0  # of them, since the last question


def begin(chip):
    """Take what the chip file says of the world."""
    global _line, drafts, _ticks, _milliseconds, _true, _air, _cut, _chip
    given = chip["world"]
    _line = builtins.open(given["line"], "r+b")  # noqa: SIM115
    drafts = given["drafts"]
    _ticks = given["ticks"]
    _true = given["unix"]
    _milliseconds = given["milliseconds"]
    _air = given["air"]
    _cut = given["cut"]
    random.seed(given["chance"])
    import chip as _chip
    import littlefs

    builtins.open = littlefs.open


def _pass(wait, listens):
    """Let up to wait milliseconds go by; return what is left of them."""
    global _seconds, _air, _cut, _steps, _arrivals, _free, _slept
    clock = _chip.seconds()
    struct.pack_into(
        "<iiiiIIB", _question, 0, wait, _slept, _bite, clock, _writes, _written, listens
    )
    _line.write(_question)
    if not _line.readinto(_answer):
        raise SystemExit  # there is no world any more
    passed, step, cut, flags, _free = struct.unpack_from("<IiiBI", _answer)
    _slept = 0
    _seconds += step
    _steps += step
    _go_by(passed)
    _air = flags & 3
    if flags & 4:
        _arrivals += 1
    if cut >= 0:
        _cut = cut
    return wait if wait == _FOREVER else wait - passed


def _go_by(milliseconds):
    global _ticks, _seconds, _milliseconds, _bite, _looks
    _looks = 0
    _ticks = _ticks + milliseconds & 0x3FFFFFFF
    _milliseconds += milliseconds
    _seconds += _milliseconds // 1000
    _milliseconds %= 1000
    if _bite >= 0:
        _bite = max(0, _bite - milliseconds)


def _doze(milliseconds):
    global _free, _slept
    _free -= milliseconds
    _slept += milliseconds
    _go_by(milliseconds)


def ticks_ms():
    return _ticks


def sleep_ms(milliseconds):
    if 0 < milliseconds < _free:
        _doze(milliseconds)
        return
    while milliseconds > 0:
        milliseconds = _pass(milliseconds, False)


def uptime():
    return _seconds


def unix_time():
    return _true + _seconds - _steps


def carries():
    return bool(_air & 1)


def reaches():
    if _air == 1:
        sleep_ms(_DNS)
    return _air == 3


def guard(milliseconds):
    global _bite
    _bite = milliseconds


def write(size):
    global _writes, _written
    if 0 <= _cut < _written + size:
        _pass(_NEVER, False)  # the end
    _writes += 1
    _written += size


class poll:
    """select.poll, whose waits end when the soak says so."""

    def __init__(self):
        self._poller = uselect.poll()
        self.unregister = self._poller.unregister
        self._writes = False
        self._quiet = -1  # arrivals up to which nothing is there to be read

    def register(self, stream, events=5):
        self._changed(events)
        self._poller.register(stream, events)

    def modify(self, stream, events):
        self._changed(events)
        self._poller.modify(stream, events)

    def _changed(self, events):
        self._quiet = -1
        self._writes = events != uselect.POLLIN

    # to ask TLS takes a millisecond of the host's at least: ask only if there may be something
    def _look(self):
        if self._quiet == _arrivals and not self._writes:
            return ()
        found = self._poller.poll(0)
        if not found:
            self._quiet = _arrivals
        return found

    def poll(self, wait=-1):
        global _looks
        if wait < 0:
            wait = _FOREVER
        found = self._look()
        if not found and 0 < wait < min(_free, _SOON + 1) and not self._writes:
            _doze(wait)
            return found
        while wait > 0 and not found:
            wait = _pass(wait, True)
            found = self._look()
        _looks += 1
        if _looks > _PATIENCE:  # it looks and looks, and waits for time to go by
            _pass(1, True)
        return found

    def ipoll(self, wait=-1):
        return iter(self.poll(wait))
