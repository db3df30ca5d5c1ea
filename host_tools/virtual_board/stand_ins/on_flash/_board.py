"""sys, micropython and vfs as a board's: what they say of it, its raw output, its Ctrl-C."""

import io
import sys
from collections import namedtuple

import micropython
import vfs
from _host import SETTING, ask

_LONGEST = 2048  # bytes at a time


class _Buffer(io.IOBase):
    """Output that is sent as it is; print() makes two bytes of each line feed."""

    def write(self, data, size=-1):
        if isinstance(data, str):
            data = data.encode()
        data = memoryview(data)[: size if size >= 0 else len(data)]
        for start in range(0, len(data), _LONGEST):
            ask("O", 0, data[start : start + _LONGEST])
        return len(data)


class _Output(io.IOBase):
    buffer = _Buffer()

    def write(self, data):
        return _stdout.write(data if isinstance(data, str) else bytes(data).decode())


_sys, _stdout, _micropython, _vfs = sys, sys.stdout, micropython, vfs
_fields = namedtuple("", ("name", "version", "_machine", "_mpy", "_build"))


class Sys:
    platform = "esp32"
    implementation = _fields(
        "micropython",
        sys.implementation[1],
        SETTING["machine"],
        sys.implementation._mpy & 0x3FF | SETTING["arch"] << 10,
        SETTING["build"],
    )
    stdout = _Output()

    def __getattr__(self, name):
        return getattr(_sys, name)


class MicroPython:
    def kbd_intr(self, character):
        """Say which character interrupts; the Unix port's own would end the process."""
        ask("I", character)

    def __getattr__(self, name):
        return getattr(_micropython, name)


class Vfs:
    def mount(self, *what, **how):
        if what:
            return _vfs.mount(*what, **how)
        return [one for one in _vfs.mount() if one[1] != "/.chip"]

    def __getattr__(self, name):
        return getattr(_vfs, name)


def put_on():
    """Show these to whoever imports them from now on."""
    sys.modules["sys"] = Sys()
    sys.modules["micropython"] = MicroPython()
    sys.modules["vfs"] = Vfs()
