"""What a batch's boards get alike: MicroPython, and a filesystem with firmware and configuration.

Owns the arguments that say what is in it, and putting it together in memory. A configuration holds
a network's password: it is in no temporary file. What is a board's own is in parts.own().
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keystead
from host_tools import firmware, roots
from host_tools.boards import Board
from host_tools.errors import CommandError
from host_tools.images import app_image, filesystem, micropython_image, partitions, parts
from host_tools.images.app_image import Description
from host_tools.images.partitions import Layout
from host_tools.images.parts import Part
from keystead import configuration
from keystead.failure import Failure

_LARGEST = 1 << 20  # bytes of config.json or app.py that are looked at


@dataclass(frozen=True)
class Contents:
    """The same for every board of a batch.

    files: those of the filesystem, path to content. parts: MicroPython, vfs. facts: versions and
    hashes for ledger and manifest, name to text.
    """

    board: Board
    layout: Layout
    description: Description
    disk_version: int
    files: Mapping[str, bytes] = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    facts: Mapping[str, str] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare image, flash size, and what is in the filesystem; not the board."""
    micropython_image.add_arguments(parser)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="config.json of the boards: networks and so on"
    )
    parser.add_argument(
        "--app", type=Path, metavar="FILE", help="your app.py, instead of the example"
    )
    parser.add_argument(
        "--ca",
        type=Path,
        metavar="PEM",
        help="trust the roots in this file instead of Azure's, e.g. `keystead cloud`'s",
    )
    parser.add_argument(
        "--umqtt",
        action="store_true",
        help="add umqtt.simple, for a MicroPython that has none (ESP32 images have)",
    )


def assembled(args: argparse.Namespace, board: Board) -> Contents:
    """Return what the arguments describe. Raises CommandError before anything is written."""
    image = micropython_image.chosen(args, board)
    layout = partitions.layout(image, board, args.flash_size)
    files = _firmware(args, board) | _own_files(args)
    return put_together(board, image, layout, files)


def put_together(
    board: Board, image: bytes, layout: Layout, files: Mapping[str, bytes]
) -> Contents:
    """Return the contents of this MicroPython image and these files. Raises CommandError."""
    description = app_image.describe(image, board, layout)
    version = filesystem.disk_version(description.micropython or board.pin.version)
    vfs = filesystem.of_files(files, layout.vfs.size, version)
    shared = parts.shared(board, image, vfs, layout)
    facts = _facts(description, image, vfs)
    return Contents(board, layout, description, version, files, shared, facts)


def _facts(description: Description, image: bytes, vfs: bytes) -> dict[str, str]:
    found = {
        "firmware": keystead.__version__,
        "micropython": description.micropython,
        "project": description.project,
        "version": description.version,
        "idf": description.idf,
        "elf_sha256": description.elf_sha256,
        "image_sha256": hashlib.sha256(image).hexdigest(),
        "vfs_sha256": hashlib.sha256(vfs).hexdigest(),
    }
    return {name: text for name, text in found.items() if text}


def _firmware(args: argparse.Namespace, board: Board) -> dict[str, bytes]:
    ders = roots.from_file(args.ca) if args.ca else roots.azure()
    with tempfile.TemporaryDirectory(prefix="keystead-") as folder:
        firmware.build(Path(folder), ders, args.umqtt, board.modules)
        return filesystem.files(Path(folder))


def _own_files(args: argparse.Namespace) -> dict[str, bytes]:
    own = {}
    if args.config is not None:
        own["config.json"] = _config(args.config)
    if args.app is not None:
        own["app.py"] = _app(args.app)
    return own


def _config(file: Path) -> bytes:
    """Return a configuration that the board will take; CommandError shows no value of it."""
    data = _read(file)
    try:
        configuration.read(json.loads(data))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise CommandError(f"{file} is not JSON") from None
    except Failure as error:
        raise CommandError(f"{file}: {error}") from None
    return data


def _app(file: Path) -> bytes:
    data = _read(file)
    try:
        compile(data, str(file), "exec")
    except (SyntaxError, ValueError) as error:
        raise CommandError(f"{file} is not Python: {error}") from None
    return data


def _read(file: Path) -> bytes:
    try:
        with open(file, "rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise CommandError(f"can not read {file}: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise CommandError(f"{file} is larger than {_LARGEST} bytes")
    return data
