"""The console of a board that boots: what its lines mean for the factory.

Owns the lines' forms, which are rim.guest's, rim.away's and rim.aftermath's, ESP-IDF's and the
ROM's. Doesn't own the line they come from, nor the time. An application is started when the hub
has let the board in, at once if it has a journal; whether it bears that is seen only then.
"""

import re
from collections.abc import Sequence

from host_tools.flash.failure import FlashFailure
from keystead.failure import printable

# the firmware's own lines begin with the seconds since its start
_LOG = r"\[ *\d+\.\d\d\] "
_FIRMWARE = re.compile(_LOG + r"keystead (\S+), MAC ([0-9a-f:]{17})$")
_RECORD = re.compile(_LOG + r"factory record: (\S+), ID scope (\S+)$")
_FAILURE = re.compile(_LOG + r"FAILURE (\d+) (.*)$")
_CONNECTED = re.compile(_LOG + r"hub: connected$")
_PLACE = re.compile(_LOG + r' *File "([^"]+)", line (\d+)')  # in a traceback, the innermost last
_RETURNED = re.compile(_LOG + r"app\.py returned; staying connected$")
# in lines that are not the firmware's: what -> (reason, in words)
_TROUBLE = (
    ("invalid header: 0x", "boot-failed", "the ROM finds no program in flash"),
    ("flash read err", "boot-failed", "the ROM can not read the flash"),
    (
        "Brownout detector was triggered",
        "brown-out",
        "the chip's supply broke down while it booted",
    ),
    ("waiting for download", "download-mode", "the chip stays in its ROM loader after a reset"),
    ("Guru Meditation Error", "boot-failed", "MicroPython crashed"),
    ("No bootable app partitions", "boot-failed", "the bootloader finds no MicroPython"),
)
# until the firmware has found its record; from then on an application may print the same
_NOT_STARTED = (
    ("MemoryError: ", "boot-failed", "the firmware ran out of memory"),
    ("SyntaxError: ", "boot-failed", "a file of the firmware can not be compiled"),
    ("ImportError: ", "boot-failed", "a file of the firmware is missing"),
)
# failures of what the factory wrote; all others are of the place the board stands at
_RECORD_GROUP = 2
_OURS = ("bug", "out-of-memory", "config-invalid", "roots-absent")
_APP_BROKEN = "app-broken", "out-of-memory: app.py"
_APP_ABSENT = "app-absent"  # as it was ordered: what is in flash has been compared
# told in place of the record's line: without a network configured the firmware goes no further
_UNSET = "network-unset"
_CONNECTS = 30  # seconds from the end of a first boot's wait to its hub
APP = 4.0  # seconds to compile an application and come upon what it can not bear at its start


class _Watched:
    """What is watched for whatever is waited for: failures, and where a traceback has pointed."""

    _where = ""

    def _failure(self, line: str) -> str:
        """Return the failure's name that a line tells, "" for none; FlashFailure if it is ours."""
        if match := _PLACE.search(line):
            self._where = f" ({printable(match[1])}, line {match[2]})"
        match = _FAILURE.search(line)
        return _refuse_ours(int(match[1]), match[2], self._where) if match else ""


class Boot(_Watched):
    """A boot as its console tells it; take() line after line until it says that is enough."""

    def __init__(self, mac: bytes, registration_id: str, version: str) -> None:
        """Whose boot it is to be, and the firmware's version that was written."""
        self._mac = mac.hex(":")
        self._registration_id = registration_id
        self._version = version
        self.started = False
        self._last: str | None = None  # no more: a board may talk without end

    def missing(self) -> FlashFailure:
        """Return what to say when the time is over."""
        if self.started:
            what = "the firmware started and never read its record"
            return FlashFailure("boot-failed", f"{what}; last line: {printable(self._last or '')}")
        if self._last is not None:
            last = printable(self._last)
            return FlashFailure("boot-failed", f"the firmware did not start; last line: {last}")
        return FlashFailure("boot-silent", "the console says nothing after a reset")

    def take(self, line: str) -> bool:
        """Take a line; return whether the board has started with its record. FlashFailure."""
        self._last = line
        _refuse_trouble(line, _TROUBLE + _NOT_STARTED)
        if match := _FIRMWARE.search(line):
            self._check_firmware(*match.groups())
        elif match := _RECORD.search(line):
            self._check_record(match[1])
            return self.started
        elif self.started:
            return self._failure(line) == _UNSET
        return False

    def _check_firmware(self, version: str, mac: str) -> None:
        if mac != self._mac:
            raise FlashFailure("board-swapped", f"board {mac} booted instead of {self._mac}")
        if version != self._version:
            raise FlashFailure(
                "wrong-firmware",
                f"keystead {printable(version)} booted instead of {self._version}",
            )
        self.started = True

    def _check_record(self, registration_id: str) -> None:
        if registration_id != self._registration_id:
            raise FlashFailure(
                "record-failed",
                f"the board is {printable(registration_id)}, not {self._registration_id}",
            )


class Registration(_Watched):
    """The same until the hub has let the board in: now the network matters as well."""

    def __init__(self, seconds: float = 0, spread: int = 0) -> None:
        """seconds: how long it may take; spread: seconds a first boot may wait first."""
        self.last_failure = ""
        short = too_short(seconds, spread)
        self._short = f" of {seconds:.0f} s, but {short}" if short else ""

    def missing(self) -> FlashFailure:
        """Return what to say when the time is over."""
        why = f"; it says: {self.last_failure}" if self.last_failure else ""
        what = f"the board did not reach its hub in time{self._short}{why}"
        return FlashFailure("not-registered", what)

    def take(self, line: str) -> bool:
        """Take a line; return whether the board is connected. FlashFailure."""
        _refuse_trouble(line)
        if name := self._failure(line):
            self.last_failure = printable(line.partition("FAILURE ")[2])
            if name == _UNSET:
                raise FlashFailure("not-registered", "the board has no network configured")
        return bool(_CONNECTED.search(line))


class Application(_Watched):
    """The application's first seconds, from when the hub has let the board in."""

    def take(self, line: str) -> bool:
        """Take a line; return whether there is nothing more to see. FlashFailure app-broken."""
        _refuse_trouble(line)
        return self._failure(line) == _APP_ABSENT or bool(_RETURNED.search(line))


def too_short(seconds: float, spread: int) -> str:
    """Return why so many seconds may not be enough for a first boot's way to its hub, or ""."""
    if not spread or seconds >= spread + _CONNECTS:
        return ""
    return (
        f"a first boot waits up to {spread} s (`spread`): give --register more seconds, or set"
        " spread 0 (docs/configuration.md)"
    )


def _refuse_trouble(line: str, trouble: Sequence[tuple[str, str, str]] = _TROUBLE) -> None:
    if re.match(_LOG, line):  # of what goes wrong there, its own FAILURE says more
        return
    for words, reason, what in trouble:
        if words in line:
            raise FlashFailure(reason, f"{what}; it says: {printable(line)}")


def _refuse_ours(number: int, told: str, where: str) -> str:
    """Return the failure's name if it is not of what was written; else raise FlashFailure."""
    name = re.split("[ :]", told, maxsplit=1)[0]
    if told.startswith(_APP_BROKEN):
        raise FlashFailure("app-broken", f"the board says: {number} {printable(told)}{where}")
    if number // 10 == _RECORD_GROUP:
        raise FlashFailure("record-failed", f"the board says: {number} {printable(told)}")
    if name in _OURS:
        raise FlashFailure("boot-failed", f"the board says: {number} {printable(told)}")
    return name
