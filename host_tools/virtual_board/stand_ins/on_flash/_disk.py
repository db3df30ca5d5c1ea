"""The vfs partition as a block device: read from the flash file, written by the flash chip."""

import ffi
from _host import SETTING, ask

_pread = ffi.open(None).func("i", "pread", "ipil")
_flash = SETTING["flash"]
_first = SETTING["start"]
_BLOCK = 4096
_COUNT, _SIZE, _ERASE = 4, 5, 6  # requests


class Disk:
    """As esp32.Partition, so far as LittleFS asks."""

    def readblocks(self, block, buffer, offset=0):
        _pread(_flash, buffer, len(buffer), _first + block * _BLOCK + offset)

    def writeblocks(self, block, buffer, offset=None):
        if offset is None:
            for at in range(len(buffer) // _BLOCK):
                self.ioctl(_ERASE, block + at)
        return ask("W", _first + block * _BLOCK + (offset or 0), buffer)

    def ioctl(self, request, block):
        if request == _COUNT:
            return SETTING["blocks"]
        if request == _SIZE:
            return _BLOCK
        return ask("X", _first + block * _BLOCK) if request == _ERASE else 0
