"""What the application in a MicroPython image says of itself: for the ledger, and for checks.

Owns the application description (esp_app_desc_t, the first 256 bytes of the first segment; source:
ESP-IDF, "App Image Format") and MicroPython's banner. Stock MicroPython leaves project and version
of the description empty (CONFIG_APP_EXCLUDE_PROJECT_VER_VAR in its sdkconfig.base), so its version
is taken from the banner that sys.version has too.
"""

import re
import struct
from dataclasses import dataclass

from host_tools.boards import Board
from host_tools.errors import CommandError
from host_tools.images import esp_image
from host_tools.images.partitions import Layout

# magic, secure version, -, version, project, time, date, IDF, ELF's SHA-256, rest
DESCRIPTION = struct.Struct("<LL8s32s32s16s16s32s32s80s")
MAGIC = 0xABCD5432
_BANNER = re.compile(rb"MicroPython (v\d+\.\d+[\w.+-]*) on \d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Description:
    """What an application image says of itself; "" for what it leaves out.

    project and version: as its builder named them. idf: e.g. "v5.4.2". elf_sha256: 64 hex digits.
    micropython: of its banner, e.g. "v1.26.1".
    """

    chip: str
    project: str
    version: str
    idf: str
    elf_sha256: str
    micropython: str


def describe(image: bytes, board: Board, layout: Layout) -> Description:
    """Return what the application in a MicroPython image says of itself.

    Raises CommandError where there is none, or one whose checksum or hash does not fit.
    """
    if layout.app is None:
        raise CommandError("the partition table has no application")
    begin = layout.app.offset - board.flash_offset
    if image[begin : begin + 1] != bytes([esp_image.MAGIC]):
        raise CommandError(f"no application at 0x{layout.app.offset:x} of the image")
    found = read(image[begin : begin + layout.app.size])
    if found.chip != board.chip:
        raise CommandError(f"the application is for {found.chip}, {board.name} has {board.chip}")
    return found


def read(app: bytes) -> Description:
    """Return what an application image says of itself. Raises CommandError."""
    found = esp_image.parse(app)
    first = found.segments[0].data
    micropython = banner(app)
    if len(first) < DESCRIPTION.size or DESCRIPTION.unpack_from(first)[0] != MAGIC:
        return Description(found.chip, "", "", "", "", micropython)
    _, _, _, version, project, _, _, idf, elf, _ = DESCRIPTION.unpack_from(first)
    return Description(
        found.chip, _text(project), _text(version), _text(idf), elf.hex(), micropython
    )


def banner(program: bytes) -> str:
    """Return the version that MicroPython's banner in a program says, "" if there is none."""
    found = _BANNER.search(program)
    return found[1].decode() if found else ""


def pack(project: str, version: str, idf: str, elf_sha256: bytes) -> bytes:
    """Return a description, 256 bytes, with the time of its build left out."""
    texts = (version.encode(), project.encode(), b"", b"", idf.encode())
    return DESCRIPTION.pack(MAGIC, 0, b"", *texts, elf_sha256, b"")


def _text(field: bytes) -> str:
    """A C string of foreign bytes, fit for a terminal and a ledger."""
    text = field.split(b"\0")[0].decode("ascii", "replace")
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
