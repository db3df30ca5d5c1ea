"""A range of serials, as people write it: "sn-0001..sn-9999", and the letters stay."""

import re
from collections.abc import Iterator

from host_tools.errors import CommandError

MOST = 10_000_000  # serials of one range: more is a slip of the keyboard
_DIGITS = re.compile("([0-9]+)")
_EXAMPLE = "write e.g. sn-0001..sn-9999"


def serials(text: str) -> Iterator[str]:
    """Return the serials from one end to the other, both included; CommandError at once.

    One number counts up; what is around it is the same at both ends. Its width is kept:
    0001..0120 has four digits throughout, 1..120 as many as each number needs.
    """
    first, dots, last = text.strip().partition("..")
    if not (first and dots and last):
        _refuse(text, _EXAMPLE)
    before, low, high, after = _parts(text, _DIGITS.split(first), _DIGITS.split(last))
    if len(low) != len(high) and "0" in (low[0], high[0]) and low != "0":
        _refuse(text, "write both numbers with the same count of digits")
    begin, end = int(low), int(high)
    if begin > end:
        _refuse(text, "the last number is below the first")
    if end - begin >= MOST:
        _refuse(text, f"more than {MOST} serials: is a digit too many?")
    width = len(low) if len(low) == len(high) else 0
    return (f"{before}{number:0{width}}{after}" for number in range(begin, end + 1))


# split at digits: what is at odd places are numbers
def _parts(text: str, first: list[str], last: list[str]) -> tuple[str, str, str, str]:
    if len(last) == 3 and last[0] == last[2] == "":  # sn-0001..9999
        last = [*first[:-2], last[1], first[-1]] if len(first) > 1 else last
    differ = [place for place in range(min(len(first), len(last))) if first[place] != last[place]]
    if len(first) != len(last) or any(place % 2 == 0 for place in differ):
        _refuse(text, f"its ends differ in more than a number: {_EXAMPLE}")
    if len(first) == 1:
        _refuse(text, f"it has no number: {_EXAMPLE}")
    if len(differ) > 1:
        _refuse(text, "its ends differ in more than one number")
    place = differ[0] if differ else len(first) - 2
    return "".join(first[:place]), first[place], last[place], "".join(first[place + 1 :])


def _refuse(text: str, why: str) -> None:
    raise CommandError(f"serials {text!r}: {why}")
