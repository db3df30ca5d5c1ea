"""A LittleFS of a folder, as MicroPython mounts it from its `vfs` partition, and read back again.

Source: MicroPython's extmod/vfs_lfs.c and vfs_lfsx.c: blocks of 4096 bytes, reads and programs of
32, caches of 128. An image is built with the same figures, so that what LittleFS decides by them
(which files lie inside their folder's block, how commits are aligned) is as on the board.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

from littlefs import LFSConfig, LittleFS, LittleFSError, lfs
from littlefs.context import UserContext

from host_tools.errors import CommandError

BLOCK = 4096  # bytes; what MicroPython's Partition has
V2_0, V2_1 = 0x0002_0000, 0x0002_0001
_PROGRAM, _CACHE = 32, 128
_LONGEST_NAME = 255  # LFS2_NAME_MAX
_DEEPEST = 32  # folders in folders; a damaged image may have rings
_ENTRY = 13  # bytes that an entry takes at least: three tags and a name, in each block of a pair
_READS = 4_000_000  # of 128 bytes; 1500 files take 300 000
_KEPT: dict[tuple[str, int, int], bytes] = {}  # the last filesystem built, by what it is made of
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def disk_version(micropython: str) -> int:
    """Return the newest LittleFS disk version that this MicroPython ("1.26.1") can mount.

    MicroPython 1.22 has LittleFS 2.8, the first with 2.1; a 2.0 is mounted by all. A version that
    is not told gets the 2.0.
    """
    found = _VERSION.match(micropython)
    return V2_1 if found and (int(found[1]), int(found[2])) >= (1, 22) else V2_0


def build(folder: Path, size: int, disk_version: int = V2_1) -> bytes:
    """Return a filesystem of size bytes with the files of folder; the same input, the same bytes.

    size: of the vfs partition. Raises CommandError if the files do not fit, or can not be read.
    """
    return of_files(files(folder), size, disk_version)


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, path to content. Raises CommandError."""
    if not folder.is_dir():
        raise CommandError(f"no folder {folder}")
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
        elif not path.is_dir():
            raise CommandError(f"{path} is neither a file nor a folder")
    return found


def of_files(content: Mapping[str, bytes], size: int, disk_version: int = V2_1) -> bytes:
    """Return a filesystem of size bytes with these files, path to content. Raises CommandError."""
    made_of = (_digest(content), size, disk_version)
    if made_of not in _KEPT:
        built = _build(content, size, disk_version)
        _KEPT.clear()
        _KEPT[made_of] = built
    return _KEPT[made_of]


def read(image: bytes) -> dict[str, bytes]:
    """Return the files of a filesystem, path to content. CommandError if it is none or damaged."""
    if not image or len(image) % BLOCK:
        raise CommandError(f"not a filesystem: {len(image)} bytes are no whole blocks of {BLOCK}")
    memory = _Bounded(buffer=bytearray(image))
    disk = _disk(memory, mount=False)
    try:
        disk.mount()
        room = len(image)
        found = {}
        for path, length in _walk(disk, "", 0, count(1), len(image) // (2 * _ENTRY)):
            room -= length
            if room < 0:
                raise CommandError("the filesystem is damaged: more in its files than it can hold")
            with disk.open(path, "rb") as file:
                found[path] = file.read()
    except (LittleFSError, UnicodeDecodeError, OSError) as error:
        raise CommandError(f"no LittleFS, or a damaged one: {error}") from None
    if memory.left < 0:
        raise CommandError("the filesystem is damaged: blocks without end")
    return found


class _Memory(UserContext):
    """Flash in memory; the library's own formats a line of log for each access."""

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:
        start = block * BLOCK + off
        return bytearray(self.buffer[start : start + size])

    def prog(self, cfg: LFSConfig, block: int, off: int, data: bytes) -> int:
        start = block * BLOCK + off
        self.buffer[start : start + len(data)] = data
        return 0

    def erase(self, cfg: LFSConfig, block: int) -> int:
        start = block * BLOCK
        self.buffer[start : start + BLOCK] = b"\xff" * BLOCK
        return 0


class _Bounded(_Memory):
    """Foreign flash: so many reads and no more, for LittleFS follows a ring of blocks for ever."""

    def __init__(self, buffer: bytearray) -> None:
        super().__init__(buffer=buffer)
        self.left = _READS

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:
        self.left -= 1
        # LittleFS does not hear of an exception; zeros are damage to it, and it stops
        return super().read(cfg, block, off, size) if self.left >= 0 else bytearray(size)


def _disk(memory: _Memory, disk_version: int = 0, mount: bool = True) -> LittleFS:
    return LittleFS(
        memory,
        mount,
        block_size=BLOCK,
        block_count=len(memory.buffer) // BLOCK,
        read_size=_PROGRAM,
        prog_size=_PROGRAM,
        cache_size=_CACHE,
        lookahead_size=32,
        block_cycles=100,
        name_max=_LONGEST_NAME,
        disk_version=disk_version,
    )


def _build(content: Mapping[str, bytes], size: int, disk_version: int) -> bytes:
    memory = _Memory(buffer=bytearray(b"\xff" * (size // BLOCK * BLOCK)))
    try:
        disk = _disk(memory, disk_version)
        for path in sorted(content):
            folder = path.rpartition("/")[0]
            if folder:
                disk.makedirs(folder, exist_ok=True)
            with disk.open(path, "wb") as file:
                file.write(content[path])
        disk.unmount()
    except LittleFSError as error:
        raise _refusal(error, content, size) from None
    return bytes(memory.buffer)


def _refusal(error: LittleFSError, content: Mapping[str, bytes], size: int) -> CommandError:
    total = sum(map(len, content.values()))
    if error.code == LittleFSError.Error.LFS_ERR_NOSPC:
        return CommandError(
            f"{len(content)} files of {total} bytes do not fit into a filesystem of {size}: take "
            "a larger flash, or leave files out"
        )
    return CommandError(f"LittleFS of {len(content)} files, {total} bytes: {error}")


def _walk(
    disk: LittleFS, folder: str, depth: int, seen: Iterator[int], most: int
) -> Iterator[tuple[str, int]]:
    """Yield path and size of every file; seen counts the entries of all folders."""
    if depth > _DEEPEST:
        raise CommandError("the filesystem is damaged: folders without end")
    for entry in disk.scandir(folder or "/"):
        if next(seen) > most:
            raise CommandError("the filesystem is damaged: more entries than it has room for")
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.type == lfs.LFSStat.TYPE_DIR:
            yield from _walk(disk, path, depth + 1, seen, most)
        else:
            yield path, entry.size


def _digest(content: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for path in sorted(content):
        whole.update(f"{path}\0{len(content[path])}\0".encode())
        whole.update(content[path])
    return whole.hexdigest()
