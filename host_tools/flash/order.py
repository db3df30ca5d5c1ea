"""The order: what a batch's boards are to get, made of files before any port is touched.

Owns reading and checking config.json and app.py, and one Load for each size of flash. Doesn't own
the bytes of parts (host_tools.images).
"""

import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from host_tools import firmware, roots
from host_tools.boards import Board
from host_tools.errors import CommandError
from host_tools.flash.load import Load
from host_tools.images import app_image, filesystem, partitions, parts
from keystead import configuration
from keystead.failure import Failure


def content(
    board: Board, config: Path | None = None, app: Path | None = None, ca: Path | None = None
) -> dict[str, bytes]:
    """Return the files of a board's filesystem, path to content. CommandError.

    config, app: what becomes config.json and app.py; ca: PEM with roots instead of Azure's.
    """
    own = {}
    if config:
        own["config.json"] = _config(config)
    if app:
        own["app.py"] = _app(app)
    ders = roots.from_file(ca) if ca else roots.azure()
    with tempfile.TemporaryDirectory(prefix="keystead-") as folder:  # no secret in it
        firmware.build(Path(folder), ders, pins=board.modules if board.modules.is_dir() else None)
        return filesystem.files(Path(folder)) | own


def _config(file: Path) -> bytes:
    data = _read(file)
    try:
        configuration.read(json.loads(data))
    except ValueError as error:
        raise CommandError(f"{file} is not JSON: {error}") from None
    except Failure as failure:
        raise CommandError(f"{file}: {failure.detail}: docs/configuration.md") from None
    return data


def _app(file: Path) -> bytes:
    data = _read(file)
    try:
        compile(data, file.name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise CommandError(f"{file} is no program: {error}") from None
    return data


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"can not read {file}: {error.strerror}") from None


@dataclass
class Loads:
    """The loads of one batch, made when the first board with a flash of that size comes.

    image: MicroPython as published; files: of the filesystem, path to content.
    """

    board: Board
    image: bytes = field(repr=False)
    files: dict[str, bytes] = field(repr=False)
    _made: dict[int, Load] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, flash_size: int) -> Load:
        """Return the load for a flash of so many bytes; CommandError where it does not fit."""
        with self._lock:
            if flash_size not in self._made:
                self._made[flash_size] = self._make(flash_size)
            return self._made[flash_size]

    def _make(self, flash_size: int) -> Load:
        layout = partitions.layout(self.image, self.board, flash_size)
        said = app_image.describe(self.image, self.board, layout)
        version = said.micropython or self.board.pin.version
        disk = filesystem.of_files(self.files, layout.vfs.size, filesystem.disk_version(version))
        shared = parts.shared(self.board, self.image, disk, layout)
        facts = {"micropython": version, "idf": said.idf}
        return Load(layout, shared, self.files, {name: v for name, v in facts.items() if v})


def loads(board: Board, image: bytes, files: dict[str, bytes]) -> Callable[[int], Load]:
    """Return Order.load for a batch."""
    return Loads(board, image, files).get
