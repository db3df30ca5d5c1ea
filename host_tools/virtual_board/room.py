"""The room: a folder of the host that a virtual board's program sees as its chip.

Owns the stand-in modules in it and the files by which the host tells them of the chip. It lives
as long as the flash chip that it belongs to: RTC memory outlives a reset. No secret lies in it.
"""

import json
import os
import weakref
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from host_tools import firmware
from host_tools.toolchain import micropython
from host_tools.virtual_board.flash_chip import FlashChip
from host_tools.virtual_board.held_folder import HeldFolder

_STAND_INS = Path(__file__).parent / "stand_ins"
_ON_FLASH = _STAND_INS / "on_flash"
_INSIDE = "/.chip"  # what the program calls it
_POWER_ON = 1
_rooms: "weakref.WeakKeyDictionary[FlashChip, Room]" = weakref.WeakKeyDictionary()


class Room:
    """The folder of one board."""

    def __init__(self) -> None:
        self.path = _folder_for(self)
        for name, folder in _compiled().items():
            (self.path / name).symlink_to(folder)
        (self.path / "files").symlink_to("/proc/self/fd")

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file that the program may read at any moment."""
        fresh = self.path / f"{name}.new"
        fresh.write_text(json.dumps(content))
        os.replace(fresh, self.path / name)

    def tell(self, chip: Mapping[str, Any], air: Mapping[str, Any], cause: int) -> None:
        """Say what the chip is, what surrounds it, and why it starts: see stand_ins/chip.py."""
        if cause == _POWER_ON:
            for name in ("rtc", "clock"):
                (self.path / name).unlink(missing_ok=True)
        places = {
            "nvs": _INSIDE, "rtc": f"{_INSIDE}/rtc", "clock": f"{_INSIDE}/clock",
            "air": f"{_INSIDE}/air.json", "files": f"{_INSIDE}/files",
        }  # fmt: skip
        self.write("chip.json", {**chip, **places, "cause": cause})
        self.write("air.json", air)

    def environment(self) -> dict[str, str]:
        """Return what the interpreter is started with."""
        path = ":".join(str(self.path / name) for name in _compiled())
        return {
            "KEYSTEAD_CHIP": f"{_INSIDE}/chip.json",
            "KEYSTEAD_ROOM": str(self.path),
            "MICROPYPATH": f"{path}:.frozen",
            "TZ": "UTC",
        }


def of(flash: FlashChip) -> Room:
    """Return the room of the board with this flash."""
    room = _rooms.get(flash)
    if room is None:
        room = _rooms[flash] = Room()
    return room


@cache
def _compiled() -> dict[str, Path]:
    """Compile the stand-ins once for all boards; return their folders, the first asked first."""
    folder = _folder_for(_compiled)
    firmware.compile_folder(_ON_FLASH, folder / "on_flash")
    firmware.compile_shrunk(_STAND_INS, folder / "stand_ins", [_ON_FLASH])
    # ESP32 images have it in ROM
    firmware.compile_folder(micropython.umqtt() / "umqtt", folder / "on_flash" / "umqtt")
    return {name: folder / name for name in ("on_flash", "stand_ins")}


def _folder_for(owner: object) -> Path:
    """Make a folder, in memory where the system has such a place, that goes with its owner."""
    folder = HeldFolder()
    weakref.finalize(owner, folder.release)
    return folder.path
