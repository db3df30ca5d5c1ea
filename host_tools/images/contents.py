"""What all boards of a batch get: MicroPython and a filesystem, laid out for one size of flash.

Owns putting them together, and the facts that ledger and manifest tell of them. What is a board's
own is in parts.own().
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import keystead
from host_tools.boards import Board
from host_tools.images import app_image, filesystem, partitions, parts
from host_tools.images.app_image import Description
from host_tools.images.partitions import Layout
from host_tools.images.parts import Part

_LARGEST = 128 << 20  # bytes of flash that any of these chips can have


@dataclass(frozen=True)
class Contents:
    """The same for every board of a batch.

    disk_version: LittleFS's. files: those of the filesystem, path to content. parts: MicroPython,
    vfs. facts: versions and hashes, name to text, without those that the image leaves out.
    """

    board: Board
    layout: Layout
    description: Description
    disk_version: int
    files: Mapping[str, bytes] = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    facts: Mapping[str, str] = field(default_factory=dict)


def put_together(
    board: Board, image: bytes, flash_size: int, files: Mapping[str, bytes]
) -> Contents:
    """Return the contents of this MicroPython image and these files. Raises CommandError."""
    layout = partitions.layout(image, board, flash_size)
    description = app_image.describe(image, board, layout)
    version = filesystem.disk_version(description.micropython or board.pin.version)
    vfs = filesystem.of_files(files, layout.vfs.size, version)
    shared = parts.shared(board, image, vfs, layout)
    facts = _facts(description, image, vfs)
    return Contents(board, layout, description, version, files, shared, facts)


def check(board: Board, image: bytes) -> Layout:
    """Return an image's layout in a flash that is larger than any.

    Raises CommandError if it can not run on a board, however large its flash may be.
    """
    layout = partitions.layout(image, board, _LARGEST)
    app_image.describe(image, board, layout)
    return layout


def _facts(description: Description, image: bytes, vfs: bytes) -> dict[str, str]:
    found = {
        "firmware": keystead.__version__,
        "micropython": description.micropython,
        "project": description.project,
        "version": description.version,
        "idf": description.idf,
        "elfSha256": description.elf_sha256,
        "imageSha256": hashlib.sha256(image).hexdigest(),
        "vfsSha256": hashlib.sha256(vfs).hexdigest(),
    }
    return {name: text for name, text in found.items() if text}
