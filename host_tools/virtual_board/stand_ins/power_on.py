"""What the boot ROM and MicroPython's own start do: run boot.py, then main.py, from the flash.

Started with the flash as current folder.
"""

import gc
import sys

import ffi

_KILL, _PR_SET_PDEATHSIG = 9, 1


def _run(name):
    with open(name) as file:
        source = file.read()
    code = compile(source, name, "exec")
    del source
    gc.collect()
    exec(code, {"__name__": "__main__"})


if sys.platform == "linux":  # not without its bench
    ffi.open(None).func("i", "prctl", "il")(_PR_SET_PDEATHSIG, _KILL)
try:
    _run("boot.py")
    _run("main.py")
except Exception as error:
    sys.print_exception(error)
    sys.exit(1)
