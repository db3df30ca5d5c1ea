"""The time by HTTPS: the Date in the head of an answer, from a server that TLS has verified.

Owns the search for a time at which that server's certificate is valid: the clock of a board that
lay on a shelf for a year is from before the certificate was made, and verifies nothing.
"""

from keystead.failure import Failure
from keystead.http_date import read
from rim import clock
from rim.dial import open_stream

_DIALLING = 10_000  # milliseconds for TCP
_LIMIT = 20_000  # milliseconds for hand-shake and head
_LONGEST = 4096  # bytes of a head
_WEEK = 604_800  # seconds; certificates are valid for longer


def ask(endpoint: str, context, guess: int, latest: int, show, feed) -> int:
    """Return the Unix time of DPS, between the build of the image and latest.

    guess: what to set the clock to first, with show(); it is left as it happens. Raises Failure.
    """
    low, high = clock.BUILT, latest
    while True:
        feed()
        show(guess)
        try:
            now = _date(endpoint.partition(":")[0], context)
            if low <= now <= high:
                return now
            raise Failure("clock-unset", "a time that can not be")
        except Failure as failure:
            if failure.reason != "tls-expired" or high - low < _WEEK:
                raise
            # safe: at the time of an expired certificate no token is signed that is still good
            if "future" in failure.detail:
                low = guess
            else:
                high = guess
            guess = (low + high) // 2


def _date(host: str, context) -> int:
    stream = open_stream(host, 443, context, _DIALLING)
    try:
        stream.start(_LIMIT, "a Date")
        stream.write(("HEAD / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host).encode())
        line = bytearray()
        for _ in range(_LONGEST):
            line += stream.read(1)
            if line[-1] == 10:
                now = read(bytes(line))
                if now or len(line) < 3:  # the empty line is the end of the head
                    return now
                line = bytearray()
        return 0
    finally:
        stream.close()
