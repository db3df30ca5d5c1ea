"""Compile the firmware into a folder laid out like a board's filesystem.

  keystead firmware build/flash
  mpremote fs cp -r build/flash/. :

Everything is compiled here, because compiling on a board takes several times a module's size in
heap. boot.py, main.py, app.py and status.py stay text: MicroPython starts the first two by name,
the third is yours, and the last is a few lines for the REPL. No clock of a board shows a time
before the day the image was built, less a day: that is today, so that all images of a day are the
same to the byte, or what SOURCE_DATE_EPOCH says.
"""

import argparse
import functools
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from host_tools import boards, roots
from host_tools.errors import CommandError
from host_tools.shrink import INTERFACE, shrink
from host_tools.toolchain import micropython
from keystead.catalogue import CATALOGUE

PACKAGES = ("keystead", "rim")
# portable, but no board makes its own name; its words on failures are in failures.txt
HOST_ONLY = ("registration_id.py", "catalogue.py")
TEXTS = ("boot.py", "main.py", "app.py", "status.py")
_DAY = 86_400  # seconds
# CPython 3.11 counts the depth of ast.parse() for all threads at once (gh-106905): two that parse
# end in a SystemError
_PARSING = threading.Lock()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("folder", type=Path, help="where to put it; made if absent")
    parser.add_argument(
        "--ca",
        type=Path,
        metavar="PEM",
        help="trust the roots in this file instead of Azure's, e.g. `keystead cloud`'s",
    )
    parser.add_argument(
        "--board",
        metavar="NAME",
        help="add the pins of this board, a folder of boards/, e.g. ESP32_GENERIC: its LED then "
        "blinks the number of a failure",
    )
    parser.add_argument(
        "--umqtt",
        action="store_true",
        help="add umqtt.simple, for a MicroPython that has none (ESP32 images have)",
    )


def run(args: argparse.Namespace) -> None:
    """Compile, and say how much it is."""
    ders = roots.from_file(args.ca) if args.ca else roots.azure()
    pins = boards.get(args.board).modules if args.board else None
    size = build(args.folder, ders, args.umqtt, pins)
    print(f"{args.folder}: {size} bytes of .mpy")


def source() -> Path:
    """Return the folder of the firmware's sources."""
    return boards.tree() / "firmware"


def build(
    folder: Path, ders: Mapping[str, bytes], umqtt: bool = False, pins: Path | None = None
) -> int:
    """Lay the firmware out in folder, with these roots (name to DER); return bytes of .mpy.

    pins: the folder with a board's own modules.
    """
    origin = source()
    (folder / "certs").mkdir(parents=True, exist_ok=True)
    for name, der in ders.items():
        (folder / "certs" / f"{name}.der").write_bytes(der)
    for text in TEXTS:
        shutil.copyfile(origin / text, folder / text)
    (folder / "failures.txt").write_text(failures())
    size = sum(_compile_package(name, folder / "lib") for name in PACKAGES)
    size += _stamp(folder / "lib" / "rim")
    if pins:
        size += compile_folder(pins, folder / "lib")
    if umqtt:
        compile_folder(micropython.umqtt() / "umqtt", folder / "lib" / "umqtt")
    return size


def failures() -> str:
    """Return the catalogue as rim.words reads it."""
    return "".join("{}|{}|{}|{}\n".format(*entry) for entry in CATALOGUE)


def _stamp(target: Path) -> int:
    """Write down when the image was built: no clock on a board can be right before that.

    A day less than the day of it, as the clock of whoever builds it may be wrong by hours. The
    day, not the second: a station that is started again must not find every board outdated.
    """
    return _compile_texts({"rim.built": f"TIME = {build_time() - _DAY}\n"}, target)


def build_time() -> int:
    """Return when an image built now is said to be built, seconds since 1970. CommandError."""
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not said:
        return int(time.time()) // _DAY * _DAY
    if not said.isdecimal():
        raise CommandError("SOURCE_DATE_EPOCH is not a number of seconds since 1970")
    return int(said)


def _compile_package(package: str, lib: Path) -> int:
    """Compile a package of the firmware, shrunk; return bytes of .mpy."""
    texts = {name: text for name, text in shrunk().items() if name.partition(".")[0] == package}
    return _compile_texts(texts, lib / package)


def shrunk() -> dict[str, str]:
    """Return the modules of the firmware, full name to text, as they are compiled."""
    origin = source()
    users = [*origin.glob("*.py"), *origin.glob("examples/*.py")]
    outside = tuple(file.read_text() for file in sorted(users))
    with _PARSING:
        return _shrunk(tuple(modules().items()), outside, INTERFACE)


def modules() -> dict[str, str]:
    """Return the modules of the firmware, full name to text, as they are written."""
    return {
        f"{package}.{file.stem}".removesuffix(".__init__"): file.read_text()
        for package in PACKAGES
        for file in _modules(source() / package)
    }


@functools.lru_cache(4)  # boards of a test have the same
def _shrunk(
    sources: tuple[tuple[str, str], ...], outside: tuple[str, ...], interface: frozenset[str]
) -> dict[str, str]:
    return shrink(dict(sources), outside, interface)


def _modules(origin: Path) -> list[Path]:
    return [file for file in sorted(origin.glob("*.py")) if file.name not in HOST_ONLY]


def compile_folder(origin: Path, target: Path) -> int:
    """Compile each .py of origin to a .mpy of target; return their bytes."""
    target.mkdir(parents=True, exist_ok=True)
    files = _modules(origin)
    return sum(_compile(file, target, f"{origin.name}/{file.name}") for file in files)


def compile_shrunk(origin: Path, target: Path, users: Iterable[Path] = ()) -> None:
    """Compile each .py of origin, modules of their own, with short names where nobody sees them.

    users: folders of modules that use these besides the firmware.
    """
    folders = [source(), *users]
    outside = [file.read_text() for folder in folders for file in sorted(folder.rglob("*.py"))]
    texts = {file.stem: file.read_text() for file in _modules(origin)}
    whole = {name: text for name, text in texts.items() if "exec(" in text}
    few = tuple((name, text) for name, text in texts.items() if name not in whole and text)
    # they are what a chip has: any application may name their parameters
    with _PARSING:
        short = _shrunk(few, (*outside, *whole.values()), frozenset(texts))
    _compile_texts({**whole, **short}, target)


def _compile_texts(texts: Mapping[str, str], target: Path) -> int:
    """Compile modules, full name to text, to .mpy files of target; return their bytes."""
    target.mkdir(parents=True, exist_ok=True)
    size = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            stem = "__init__" if name in PACKAGES else name.rpartition(".")[2]
            file = Path(folder) / f"{stem}.py"
            file.write_text(text)
            # a traceback shows the module's name: the board has that word anyway
            size += _compile(file, target, name)
    return size


def _compile(file: Path, target: Path, shown: str) -> int:
    """Compile a file; return bytes of .mpy. shown: what a traceback on the board calls it."""
    compiled = target / f"{file.stem}.mpy"
    words = ["-s", shown, "-o", str(compiled), str(file)]
    _mpy_cross(words)
    return compiled.stat().st_size


def _mpy_cross(words: Iterable[str]) -> None:
    command = [*micropython.mpy_cross(), *words]
    # without our environment: a group key may be in it
    result = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CommandError(f"mpy-cross: {result.stderr.strip() or result.stdout.strip()}")
