"""Clock: an NTP server for the bench, which tells boards the time, or a lie.

Owns the answer to one question. Doesn't own the socket (serve/datagrams.py) nor the time.
Source: RFC 5905, sections 7.3 and 7.4; the kiss of death repeats the question's time stamp as
ntpd does.
"""

import struct

from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.faults import ANSWERS, Faults, Trouble
from host_tools.emulator.faults.in_force import Moment
from host_tools.emulator.faults.when import NTP, TIME

PORT = 123
_SINCE_1900 = 2_208_988_800  # seconds before 1970
_SIZE = 48  # bytes
_CLIENT, _SERVER = 3, 4
_UNSYNCHRONISED = 3 << 6  # leap indicator: the clock is not set
_PRECISION = 0xEC  # 2 to the power of -20 seconds
_NEVER = bytes(8)
_KINDS = ANSWERS | {Kind.CLOCK}


class Clock:
    """Answers questions for the time."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    # leap indicator, version, mode | stratum | poll | precision | root delay | root dispersion |
    # reference ID | reference, origin, receive and transmit time stamps
    def answer(self, question: bytes, address: str, now: float) -> tuple[bytes, float] | None:
        """Return the answer to a datagram from address and the seconds it is late, or None."""
        if len(question) < _SIZE or question[0] & 7 != _CLIENT:
            return None
        version, asked = question[0] & 0x38, question[40:48]
        trouble = self._faults.ask(Moment(NTP, TIME, address, now), _KINDS)
        if trouble and trouble.silent:
            return None
        return _answer(version, question[2], asked, trouble, now), trouble.delay if trouble else 0


def _answer(version: int, poll: int, asked: bytes, trouble: Trouble | None, now: float) -> bytes:
    kind = trouble.action.kind if trouble else None
    leap, stratum, reference = 0, 1, b"LOCL"
    origin, stamp = asked, timestamp(now)
    if trouble and kind is Kind.CLOCK:
        stamp = timestamp(now + trouble.action.seconds)
    elif trouble and kind is Kind.KISS:
        leap, stratum, reference = _UNSYNCHRONISED, 0, trouble.action.text.encode()
        stamp = asked
    elif kind is Kind.UNSYNCHRONISED:
        leap, stratum, reference = _UNSYNCHRONISED, 16, b"INIT"
    elif kind is Kind.BOGUS:
        origin, stamp = bytes(byte ^ 0xFF for byte in asked), _NEVER
    head = struct.pack(
        "!BBBBII4s", leap | version | _SERVER, stratum, poll, _PRECISION, 0, 0, reference
    )
    return head + stamp + origin + stamp + stamp


# seconds since 1900, 32 bits; and a fraction of one, 32 bits
def timestamp(seconds: float) -> bytes:
    """Return a time (seconds since 1970) as NTP has it; it wraps in 2036."""
    units = int((seconds + _SINCE_1900) * (1 << 32))
    return (units & (1 << 64) - 1).to_bytes(8, "big")
