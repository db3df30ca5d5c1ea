"""NTP, the client's side: one question for the time, and what an answer to it is worth.

Owns the 48 bytes. Doesn't own the socket, the clock or the dice: all are the caller's.
Source: RFC 5905, 7.3 and 7.4; RFC 4330, section 5, lists what a client must check.
"""

import struct

from keystead.failure import Failure

LATEST = 473_364_000  # seconds after the floor, 15 years: a later time is a mistake or a lie
_SINCE_1900 = 2_208_988_800  # seconds before 1970
_FOR_GOOD = 1 << 30  # seconds
# how long not to ask; any other kiss of death only says that there is no time now
_KISSES = {b"RATE": 3600, b"DENY": _FOR_GOOD, b"RSTR": _FOR_GOOD}


# leap, version, mode | stratum | poll | precision | root delay | root dispersion | reference ID |
# reference, origin, receive and transmit time stamps, each 32 bits of seconds, 32 of a fraction
def question(nonce: bytes) -> bytes:
    """Return the datagram to send. nonce: eight random bytes in place of our own time.

    The answer repeats them, and a forger who does not see the question can not.
    """
    return b"\x23" + bytes(39) + nonce


def read(answer: bytes, nonce: bytes, floor: int, late: int) -> int:
    """Return the Unix time at which an answer came in; 0 if it is to another question.

    floor: no time is before it, nor after it by more than LATEST; late: milliseconds that the
    answer was on its way. Raises Failure clock-unset for an answer without a time we believe;
    its retry_after says for how long that server wants no more questions.
    """
    # version 3 or 4, mode 4: a server; the leap indicator is in the two bits above
    if len(answer) < 48 or answer[0] & 0x3F not in (0x1C, 0x24) or answer[24:32] != nonce:
        return 0
    if not answer[1]:
        raise Failure("clock-unset", "kiss of death", 0, _KISSES.get(bytes(answer[12:16]), 0))
    seconds, fraction = struct.unpack("!II", answer[40:48])
    if answer[0] > 0xBF or answer[1] > 15 or not (seconds or fraction):
        raise Failure("clock-unset", "not synchronised")
    # NTP's seconds begin again every 136 years, in 2036 for the first time
    ahead: int = (seconds - _SINCE_1900 - floor) % (1 << 32)
    if ahead > LATEST:
        raise Failure("clock-unset", "a time that can not be")
    # 1024 for a thousand: a fiftieth of a way is no matter
    late += fraction >> 22
    return floor + ahead + (late + 512 >> 10)
