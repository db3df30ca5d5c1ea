"""The facts of a board that are asked before anything on it is changed.

Owns what is asked, and whether Keystead can run there. Source of the numbers: MicroPython's docs,
"sys.implementation" and ".mpy files": the low byte of _mpy is the version of the files it takes.
"""

import re
from dataclasses import dataclass
from typing import Any, TypeGuard

from host_tools.boards import CHIPS
from host_tools.repl import Raised, Repl, ReplError
from host_tools.retrofit.failure import RetrofitFailure
from host_tools.toolchain import micropython
from keystead.failure import printable

MPY_VERSION = 6  # of what mpy-cross makes; MicroPython 1.19 and later take it
_MODULES = ("machine", "esp32", "tls", "hashlib", "umqtt.simple")
_ASK = """\
import sys
_i = sys.implementation
_t = {"name": _i[0], "version": tuple(_i[1])[:3], "platform": sys.platform}
_t["mpy"] = getattr(_i, "_mpy", 0)
_t["machine"] = getattr(_i, "_machine", "")
_t["has"] = {}
for _name in {modules}:
    try:
        __import__(_name)
        _t["has"][_name] = True
    except ImportError:
        _t["has"][_name] = False
if _t["has"]["machine"]:
    import os
    _t["mac"] = __import__("machine").unique_id()
    _t["disk"] = tuple(os.statvfs("/"))[:4]
print(repr(_t))
""".replace("{modules}", repr(_MODULES))
# a program that was interrupted may have left a watchdog; every step feeds it by being one
_WATCHDOG = "import machine\nmachine.WDT(timeout={})"
_HOURS = 2 * 3_600_000  # milliseconds


@dataclass(frozen=True)
class BoardFacts:
    """What a board says of itself. version: of MicroPython; free: bytes on its filesystem."""

    mac: bytes
    chip: str
    machine: str
    version: tuple[int, ...]
    free: int
    has_umqtt: bool

    @property
    def release(self) -> str:
        """MicroPython's version as people write it."""
        return ".".join(map(str, self.version))


def ask(repl: Repl) -> BoardFacts:
    """Ask a board in its raw REPL. Raises RetrofitFailure if Keystead can not run there."""
    try:
        told = repl.evaluate_printed(_ASK)
    except Raised as error:
        raise _not_micropython(str(error)) from None
    if not isinstance(told, dict) or told.get("name") != "micropython":
        raise _not_micropython(f"it says it is {_text(told, 'name')!r}")
    if not _well_formed(told):
        raise _not_micropython("what it says of itself is garbled")
    _check(told)
    mac, disk = told.get("mac"), told.get("disk")
    if not isinstance(mac, bytes) or len(mac) != 6 or not _numbers(disk, 4):
        raise _not_micropython("it has no MAC or no filesystem")
    umqtt = bool(told["has"]["umqtt.simple"])
    free = disk[0] * disk[3]
    return BoardFacts(mac, _chip(told), _text(told, "machine"), told["version"], free, umqtt)


def lengthen_watchdog(repl: Repl) -> None:
    """Keep a watchdog that the interrupted program has started from resetting the board."""
    try:
        repl.exec(_WATCHDOG.format(_HOURS))
    except Raised as error:
        raise ReplError(f"the board's watchdog can not be held: {error.last}") from None


def _well_formed(told: dict[Any, Any]) -> bool:
    """Tell whether what every board says of itself has the types that are asked for."""
    has = told.get("has")
    return (
        _numbers(told.get("version"), 3)
        and _numbers((told.get("mpy"),), 1)
        and all(isinstance(told.get(name), str) for name in ("platform", "machine"))
        and isinstance(has, dict)
        and all(isinstance(has.get(name), bool) for name in _MODULES)
    )


def _numbers(value: object, count: int) -> TypeGuard[tuple[int, ...]]:
    return (
        isinstance(value, tuple)
        and len(value) == count
        and all(type(number) is int and 0 <= number < 1 << 32 for number in value)
    )


def _check(told: dict[str, Any]) -> None:
    version = told["version"]
    release = ".".join(map(str, version))
    oldest = "{}.{}".format(*micropython.OLDEST)
    install = f"install {oldest} or later first: `keystead flash` does"
    if told["platform"] != "esp32" or not told["has"]["esp32"]:
        raise RetrofitFailure(
            "wrong-chip", f"MicroPython for {_text(told, 'platform')!r}: Keystead runs on ESP32s"
        )
    if version < micropython.OLDEST:
        raise RetrofitFailure("too-old", f"MicroPython {release} is too old: {install}")
    if told["mpy"] & 0xFF != MPY_VERSION:
        raise RetrofitFailure(
            "too-old",
            f"this MicroPython takes .mpy files of version {told['mpy'] & 0xFF}, not"
            f" {MPY_VERSION}: {install}",
        )
    missing = [name for name in ("tls", "hashlib") if not told["has"][name]]
    if missing:
        raise RetrofitFailure(
            "too-old", f"this MicroPython was built without {missing[0]}: {install}"
        )


def _chip(told: dict[str, Any]) -> str:
    machine = _text(told, "machine")
    match = re.search(r"(ESP32\w*)$", machine)
    chip = match[1].lower() if match else ""
    if chip not in CHIPS:
        raise RetrofitFailure(
            "wrong-chip", f"the board is {machine!r}; there is firmware for {', '.join(CHIPS)}"
        )
    return chip


def _text(told: object, name: str) -> str:
    found = told.get(name, "") if isinstance(told, dict) else ""
    return printable(str(found))[:80]


def _not_micropython(why: str) -> RetrofitFailure:
    return RetrofitFailure(
        "not-micropython", f"no MicroPython that Keystead knows answers here: {why}"
    )
