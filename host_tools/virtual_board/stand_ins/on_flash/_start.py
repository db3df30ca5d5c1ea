"""What MicroPython's own start does on an ESP32: the flash, boot.py, main.py, and the REPL."""

import gc
import sys

import vfs
from uos import getenv

_ROOM = "/.chip"  # where what the host keeps for the chip can be seen

vfs.umount("/")
vfs.mount(vfs.VfsPosix(getenv("KEYSTEAD_ROOM")), _ROOM)
_silicon = [_ROOM + "/on_flash", _ROOM + "/stand_ins"]
# no file of the board's stands in for what is in a chip; MicroPython has no [*list, ...]
sys.path[:] = _silicon + [".frozen"]  # noqa: RUF005

import os  # noqa: E402

import ffi  # noqa: E402
from _board import put_on  # noqa: E402
from _disk import Disk  # noqa: E402
from _host import SETTING  # noqa: E402

put_on()
from _repl import run, serve  # noqa: E402

_BOOT = """\
# This file is executed on every boot (including wake-boot from deepsleep)
#import esp
#esp.osdebug(None)
#import webrepl
#webrepl.start()
"""
_CORRUPT = """\
The filesystem appears to be corrupted. If you had important data there, you
may want to make a flash snapshot to try to recover it. Otherwise, perform
factory reprogramming of MicroPython firmware (completely erase flash, followed
by firmware programming).
"""
_KILL, _PR_SET_PDEATHSIG = 9, 1


def _mount():
    disk = Disk()
    try:
        vfs.mount(vfs.VfsLfs2(disk), "/")
    except OSError:
        _set_up(disk)


def _set_up(disk):
    first = bytearray(4096)
    disk.readblocks(0, first)
    if first != b"\xff" * 4096:
        import time

        while True:
            print(_CORRUPT)
            time.sleep(3)
    print("Performing initial setup")
    vfs.VfsLfs2.mkfs(disk)
    vfs.mount(vfs.VfsLfs2(disk), "/")
    with open("/boot.py", "w") as file:
        file.write(_BOOT)


def _exists(name):
    try:
        return os.stat(name)[0] & 0x8000
    except OSError:
        return False


def _go():
    ffi.open(None).func("i", "prctl", "il")(_PR_SET_PDEATHSIG, _KILL)  # not without its host
    _mount()
    sys.path[:] = ["", ".frozen", "/lib"] + _silicon  # noqa: RUF005
    gc.collect()
    raw = SETTING["raw"]
    whole = not _exists("boot.py") or run("boot.py")
    if whole and not raw and _exists("main.py"):
        run("main.py")
    serve(raw)


_go()
