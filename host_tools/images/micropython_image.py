"""MicroPython's image for a board: from a file or fetched, and only the one that is pinned.

Owns the choice (arguments of `keystead image` and `keystead flash`), the check by SHA-256 and the
fetching, which mpflash does (extra `images`) in a process of its own.
"""

import argparse
import hashlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from host_tools.boards import Board
from host_tools.errors import CommandError
from host_tools.images import input_file
from host_tools.images.stand_in import stand_in_image
from host_tools.key_sources import shield
from host_tools.toolchain import places

LARGEST = 32 << 20  # bytes looked at: no ESP32 takes more
_TOO_LARGE = "is larger than any flash: it is no MicroPython image"
_PORT = "esp32"  # MicroPython's name for all these chips, and mpflash's for its folder
_PATIENCE = 300  # seconds that a download may take
_BAD = "\N{CROSS MARK}"  # before what mpflash logs as an error
_SIZE = re.compile(r"(\d{1,3})\s*(?:MB?|MiB)", re.IGNORECASE)


def add_arguments(parser: argparse.ArgumentParser, sized: bool = True) -> None:
    """Declare which image, and for how much flash; not sized: the board itself will tell."""
    parser.add_argument(
        "--micropython",
        type=Path,
        metavar="FILE",
        help="the board's MicroPython image as published; default: fetch the one that boards/ "
        "pins (needs the extra `images`)",
    )
    parser.add_argument(
        "--sha256",
        metavar="HEX",
        help="of FILE, where it is not the pinned one: another release, or your own build",
    )
    parser.add_argument(
        "--stand-in",
        action="store_true",
        help="rehearse with an image that has no program in it; only a virtual board runs it",
    )
    if not sized:
        parser.set_defaults(flash_size=4 << 20)  # of a stand-in's header, which nobody heeds
        return
    parser.add_argument(
        "--flash-size",
        type=flash_size,
        default="4MB",
        metavar="SIZE",
        help="of the board: 2MB, 4MB (default), 8MB or 16MB",
    )


def chosen(args: argparse.Namespace, board: Board) -> bytes:
    """Return the image that the arguments ask for. Raises CommandError."""
    if not args.stand_in:
        return load(board, args.micropython, args.sha256)
    if args.micropython is not None or args.sha256 is not None:
        raise CommandError("--stand-in is instead of --micropython and --sha256")
    return stand_in_image(board.chip, args.flash_size)


def flash_size(text: str) -> int:
    """Return the bytes that "4MB" says. ArgumentTypeError for what no board has."""
    found = _SIZE.fullmatch(text)
    megabytes = int(found[1]) if found else 0
    if megabytes not in (2, 4, 8, 16, 32):
        raise argparse.ArgumentTypeError(f"{text!r}: write 2MB, 4MB, 8MB, 16MB or 32MB")
    return megabytes << 20


def load(board: Board, file: Path | None = None, sha256: str | None = None) -> bytes:
    """Return the image: of file, else fetched with mpflash (extra `images`).

    sha256: of an image of your own, 64 hex digits, instead of the board's pin. CommandError tells
    the SHA-256 found where it differs.
    """
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise CommandError("--sha256: 64 hex digits, as `sha256sum` prints them")
    if file is None:
        if sha256 is not None:
            raise CommandError("--sha256 is of a file: name it with --micropython")
        return _fetched(board)
    return _checked(input_file.read(file, LARGEST, _TOO_LARGE), file, board, sha256)


def _checked(data: bytes, file: Path, board: Board, sha256: str | None) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise CommandError(f"{file} has SHA-256 {found}, not the one given with --sha256")
    if sha256 is None and found != board.pin.sha256:
        raise CommandError(
            f"{file} is not {board.pin.image}, which {board.name} is pinned to: it has SHA-256 "
            f"{found}; if it is the one you want, say so with --sha256 {found}"
        )
    return data


def _fetched(board: Board) -> bytes:
    """Return the pinned image, kept from an earlier time or fetched now."""
    folder = places.home() / "images"
    file = folder / _PORT / board.pin.image
    if not file.is_file():
        _fetch(board, folder, file)
    data = input_file.read(file, LARGEST, _TOO_LARGE)
    found = hashlib.sha256(data).hexdigest()
    if found != board.pin.sha256:
        file.unlink()  # cut off, or a page that says sorry: the next run fetches it again
        raise CommandError(
            f"what was fetched as {board.pin.image} has SHA-256 {found}, not the pinned "
            f"{board.pin.sha256}; it is removed"
        )
    return data


def _fetch(board: Board, folder: Path, file: Path) -> None:
    if importlib.util.find_spec("mpflash") is None:
        raise CommandError(
            f"no MicroPython image: name {board.pin.image} with --micropython, or "
            "`pip install 'keystead[images]'` to have it fetched"
        )
    print(f"fetching {board.pin.image} from micropython.org", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    said = _mpflash(board, folder)
    # not its exit code: mpflash 1.29 ends with 0 when nothing could be downloaded
    if not file.is_file():
        lines = said.strip().splitlines() or ["it says nothing"]
        reason = next((line for line in lines if _BAD in line), lines[-1]).rpartition(_BAD)[2]
        raise CommandError(f"mpflash did not bring {board.pin.image}: {reason.strip()}")


def _mpflash(board: Board, folder: Path) -> str:
    """Download the pinned release; return what mpflash says.

    --no-clean keeps the publisher's file name, date and all, by which the pin knows it.
    """
    command = [sys.executable, "-m", "mpflash.cli_main", "download", "--no-clean"]
    command += ["--board", board.name, "--version", board.pin.version]
    try:
        done = subprocess.run(
            command,
            env=shield.for_others(MPFLASH_FIRMWARE=str(folder), COLUMNS="200"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"mpflash did not bring {board.pin.image} in {_PATIENCE} s") from None
    return done.stdout
