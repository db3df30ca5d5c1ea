"""A flash chip in RAM under MicroPython's own LittleFS: counts what wears it."""

import os
import vfs

BLOCK = 4096


class Chip:
    """A block device. erased, programmed and read count since zero(); events, if wanted, all."""

    def __init__(self, blocks, events=None):
        self.blocks = blocks
        self.bytes = bytearray(b"\xff" * (blocks * BLOCK))
        self._view = memoryview(self.bytes)
        self.events = events  # (offset, bytes that are programmed there, or None: erased)
        self.error = 0  # set it to a negative errno, and nothing works
        self.zero()

    def zero(self):
        self.erased = self.programmed = self.read = 0

    def do(self, offset, data):
        if self.events is not None:
            self.events.append((offset, None if data is None else bytes(data)))
        if data is None:
            self.erased += 1
            data = b"\xff" * BLOCK
        else:
            self.programmed += len(data)
        self.bytes[offset : offset + len(data)] = data

    # ---- the face MicroPython knows

    def readblocks(self, block, buffer, offset=0):
        self.read += len(buffer)
        start = block * BLOCK + offset
        buffer[:] = self._view[start : start + len(buffer)]
        return self.error

    def writeblocks(self, block, data, offset=0):
        if not self.error:
            self.do(block * BLOCK + offset, data)
        return self.error

    def ioctl(self, what, block):
        if what == 6 and not self.error:
            self.do(block * BLOCK, None)
        return (0, 0, 0, 0, self.blocks, BLOCK, self.error)[what]


def use(chip, fresh):
    """Mount a chip, with an empty file system or with what is on it, as the current folder."""
    os.chdir("/")
    try:  # noqa: SIM105
        vfs.umount("/flash")
    except OSError:  # there was none, or it has lost its power
        pass
    if fresh:
        vfs.VfsLfs2.mkfs(chip)
    vfs.mount(vfs.VfsLfs2(chip), "/flash")
    os.chdir("/flash")
