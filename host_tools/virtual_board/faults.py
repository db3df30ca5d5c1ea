"""What can go wrong with a virtual board, as plain data, and how people write it.

Owns the words. Doesn't own what they do: wire.py drops and flips bytes, flash_chip.py loses its
power, efuses.py holds what security burns.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from host_tools.errors import CommandError

Kind = Literal["cut write", "cut erase", "drop", "flip", "stuck", "chip", "flash size", "efuse"]

SIZES = {f"{1 << power}MB": 1 << (20 + power) for power in range(5)}  # 1MB to 16MB


@dataclass(frozen=True)
class Fault:
    """One fault.

    at: the byte (from 1) or the sector at which it strikes, counted from power-on for "cut", from
    the opening of the port for "drop", "flip" and "stuck"; bytes of a "flash size". to_host:
    on the way from the board. bit: the one that is flipped. name: of a chip, or of what is burnt.
    every: each time that the count is reached anew, else the first time only.
    """

    kind: Kind
    at: int = 0
    to_host: bool = False
    bit: int = 0
    name: str = ""
    every: bool = False


_EVERY = re.compile(r",? every time$")
_TO_HOST = re.compile(r" to host$")
_NUMBER = r"([0-9]{1,12}|0x[0-9a-f]{1,8})"
_FORMS: Sequence[tuple[str, Kind]] = (
    (rf"power cut at byte {_NUMBER}", "cut write"),
    (rf"power cut in erase {_NUMBER}", "cut erase"),
    (rf"drop byte {_NUMBER}", "drop"),
    (rf"flip bit(?: ([0-7]))? at {_NUMBER}", "flip"),
    (rf"stuck after {_NUMBER}", "stuck"),
    (r"wrong chip (esp32|esp32c3|esp32s3)", "chip"),
    (r"flash size ([0-9]+MB)", "flash size"),
    (r"(secure boot|flash encryption|secure download mode)", "efuse"),
)
FORMS = (
    "power cut at byte N", "power cut in erase N", "drop byte N", "flip bit [B] at N",
    "stuck after N", "wrong chip CHIP", "flash size 2MB", "secure boot", "flash encryption",
    "secure download mode",
)  # fmt: skip


def parse(text: str) -> Fault:
    """Return the fault that text describes, e.g. "drop byte 1000 to host, every time"."""
    words, every = _EVERY.subn("", text.strip())
    words, to_host = _TO_HOST.subn("", words)
    for form, kind in _FORMS:
        match = re.fullmatch(form, words)
        if match and (not to_host or kind in ("drop", "flip")):
            return _fault(kind, match, bool(to_host), bool(every))
    raise CommandError(
        f"--fault {text[:80]!r} is not one I know: {'; '.join(FORMS)};"
        ' with " to host" behind drop and flip, and ", every time" behind any'
    )


def _fault(kind: Kind, match: re.Match[str], to_host: bool, every: bool) -> Fault:
    if kind in ("chip", "efuse"):
        return Fault(kind, name=match[1], every=every)
    if kind == "flash size":
        if match[1] not in SIZES:
            raise CommandError(f"flash size {match[1]}: there are {', '.join(SIZES)}")
        return Fault(kind, at=SIZES[match[1]], every=every)
    bit = int(match[1] or 0) if kind == "flip" else 0
    at = int(match[match.lastindex or 1], 0)
    if at == 0:
        raise CommandError(f"--fault {match[0]!r}: bytes and sectors count from 1")
    return Fault(kind, at=at, to_host=to_host, bit=bit, every=every)
