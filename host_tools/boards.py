"""The boards that boards/ describes, as objects: chip, offsets, and the pinned MicroPython.

Owns reading boards/<BOARD>/board.toml, and where boards/ and firmware/ are: in a checkout, or in
an installed package. What a MicroPython image says of itself (its partitions) is not here but in
host_tools.images: an image of your own may be laid out otherwise.
"""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import host_tools
from host_tools.errors import CommandError

# chips there are models and tools for
CHIPS = ("esp32", "esp32c3", "esp32s3")
# what a wheel calls the root of the checkout: see pyproject.toml
_INSTALLED = "keystead_tree"


@dataclass(frozen=True)
class Region:
    """A stretch of flash: where it begins, and how long it is, both in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.size


@dataclass(frozen=True)
class Pin:
    """The MicroPython image that this board is known to work with.

    version: e.g. "1.26.1". image: the publisher's file name. size: bytes. confirmed: whether the
    SHA-256 was compared with one that the publisher gives.
    """

    version: str
    image: str
    size: int
    sha256: str
    confirmed: bool


@dataclass(frozen=True)
class Board:
    """One folder of boards/.

    flash_offset: where the publisher's image is written, and where the chip's ROM looks for a
    bootloader: 0x1000 on ESP32, 0 on C3 and S3. nvs: where the stock partition table has it.
    """

    name: str
    chip: str
    flash_offset: int
    nvs: Region
    pin: Pin

    @property
    def modules(self) -> Path:
        """The folder of the board's own MicroPython modules (its pins)."""
        return folder() / self.name / "modules"


def tree() -> Path:
    """Return the folder that holds boards/ and firmware/: the checkout, or its installed copy."""
    around = Path(host_tools.__file__).parents[1]
    for place in (around / _INSTALLED, around):
        if (place / "firmware" / "main.py").is_file() and (place / "boards").is_dir():
            return place
    raise CommandError("boards/ and firmware/ are not beside host_tools: install keystead again")


def folder() -> Path:
    """Return the folder boards/."""
    return tree() / "boards"


def names() -> list[str]:
    """Return the names of all boards, in order."""
    return sorted(file.parent.name for file in folder().glob("*/board.toml"))


def get(name: str) -> Board:
    """Return a board by its name. CommandError says which there are."""
    if name not in names():
        raise CommandError(f"no board {name!r}: there are {', '.join(names())}")
    return read(folder() / name / "board.toml")


@functools.cache
def read(file: Path) -> Board:
    """Return the board that a board.toml describes. Raises CommandError."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        return _board(file.parent.name, data)
    except OSError as error:
        raise CommandError(f"can not read {file}: {error.strerror}") from None
    except KeyError as error:
        raise CommandError(f"{file}: {error} is missing") from None
    except (tomllib.TOMLDecodeError, TypeError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: not a board's description: {error}") from None


def _board(name: str, data: dict[str, Any]) -> Board:
    pinned = data["micropython"]
    if data["chip"] not in CHIPS:
        raise CommandError(f"board {name}: no chip {data['chip']!r}: there are {', '.join(CHIPS)}")
    pin = Pin(
        version=pinned["version"],
        image=pinned["image"],
        size=pinned["bytes"],
        sha256=pinned["sha256"],
        confirmed=pinned["confirmed"],
    )
    return Board(name, data["chip"], data["flash_offset"], Region(**data["nvs"]), pin)
