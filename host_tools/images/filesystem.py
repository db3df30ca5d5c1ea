"""A LittleFS of a folder, as MicroPython mounts it from its `vfs` partition."""

from pathlib import Path

from littlefs import LittleFS

BLOCK = 4096  # bytes; what MicroPython's Partition has
V2_0, V2_1 = 0x0002_0000, 0x0002_0001


def disk_version(micropython: str) -> int:
    """Return the newest LittleFS disk version that this MicroPython ("1.26.1") can mount."""
    major, minor, *_ = (int(part) for part in micropython.lstrip("v").split("-")[0].split("."))
    return V2_1 if (major, minor) >= (1, 22) else V2_0


def build(folder: Path, size: int, disk_version: int = V2_1) -> bytes:
    """Return a filesystem of size bytes with the files of folder; the same input, the same bytes.

    Raises CommandError if they do not fit.
    """
    disk = LittleFS(
        block_size=BLOCK, block_count=size // BLOCK, name_max=255, disk_version=disk_version
    )
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            disk.mkdir(name)
        else:
            with disk.open(name, "wb") as file:
                file.write(path.read_bytes())
    disk.unmount()
    return bytes(disk.context.buffer)


def read(image: bytes) -> dict[str, bytes]:
    """Return the files of a filesystem, path to content. CommandError if it is none or damaged."""
    disk = LittleFS(block_size=BLOCK, block_count=len(image) // BLOCK, mount=False)
    disk.context.buffer[:] = image
    disk.mount()
    found = {}
    for place, _, files in disk.walk("/"):
        for name in files:
            path = f"{place}/{name}".lstrip("/")
            with disk.open(path, "rb") as file:
                found[path] = file.read()
    return found
