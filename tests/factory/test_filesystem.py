"""The filesystem: MicroPython mounts and changes what was built here, and we read it back."""

import binascii
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.errors import CommandError
from host_tools.images import filesystem
from host_tools.images.filesystem import V2_0, V2_1, disk_version
from host_tools.toolchain import micropython

SIZE = 256 << 10
# around what lies inside a folder's block (128), around a block, and far above
SIZES = (0, 1, 127, 128, 129, 511, 1022, 4095, 4096, 4097, 30_000)
FILES = {
    **{f"size{size}": bytes([65 + number]) * size for number, size in enumerate(SIZES)},
    "boot.py": b"pass\n",
    "lib/rim/log.mpy": b"M\x06\x00\x1f" * 99,
    "n" * 255: b"a long name",
}
# mounts as an ESP32 does, with no options; tells each file's CRC, then appends and makes a file
ON_BOARD = """
import binascii, os, sys, vfs

class Flash:
    def __init__(self, path):
        self.file = open(path, "r+b")
        self.blocks = self.file.seek(0, 2) // 4096

    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.write(buffer)

    def ioctl(self, what, block):
        if what == 3:
            self.file.flush()
        elif what == 6:
            self.writeblocks(block, b"\\xff" * 4096)
            return 0
        return {4: self.blocks, 5: 4096}.get(what)

flash = Flash(sys.argv[1])
vfs.mount(flash, "/flash")

def walk(folder):
    for name, kind, *_ in os.ilistdir(folder):
        path = folder + "/" + name
        if kind == 0x4000:
            walk(path)
        else:
            with open(path, "rb") as file:
                print(path, binascii.crc32(file.read()))
            with open(path, "ab") as file:
                file.write(b"more")

walk("/flash")
with open("/flash/new", "w") as file:
    file.write("made on the board")
flash.ioctl(3, 0)
"""


@pytest.mark.parametrize("version", [V2_0, V2_1])
def test_micropython_reads_and_changes_it_and_we_read_that(tmp_path: Path, version: int) -> None:
    flash, script = tmp_path / "vfs.bin", tmp_path / "on_board.py"
    flash.write_bytes(filesystem.of_files(FILES, SIZE, version))
    script.write_text(ON_BOARD)
    command = [*micropython.interpreter(32), str(script), str(flash)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    seen = dict(line.rsplit(" ", 1) for line in ran.stdout.splitlines())
    assert seen == {f"/flash/{path}": str(binascii.crc32(data)) for path, data in FILES.items()}
    changed = {path: data + b"more" for path, data in FILES.items()}
    assert filesystem.read(flash.read_bytes()) == {**changed, "new": b"made on the board"}


@pytest.mark.parametrize("version", [V2_0, V2_1])
def test_it_says_the_version_that_was_asked_for(version: int) -> None:
    superblock = filesystem.of_files(FILES, SIZE, version)[: 2 * filesystem.BLOCK]
    place = superblock.index(b"littlefs") + 8 + 4  # a tag between them
    told, block, count, name_max = struct.unpack_from("<4L", superblock, place)
    assert (told, block, count, name_max) == (version, 4096, SIZE // 4096, 255)


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    for name, order in (("one", sorted(FILES)), ("two", sorted(FILES, reverse=True))):
        for path in order:
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(FILES[path])
    one = filesystem.build(tmp_path / "one", SIZE)
    filesystem.of_files({}, SIZE)  # what was kept is gone
    assert filesystem.build(tmp_path / "two", SIZE) == one
    assert filesystem.read(one) == FILES


def test_a_changed_file_makes_another_image(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    before = filesystem.build(tmp_path, SIZE)
    (tmp_path / "a").write_bytes(b"two")
    assert filesystem.read(filesystem.build(tmp_path, SIZE)) == {"a": b"two"}
    assert filesystem.read(before) == {"a": b"one"}


def test_what_does_not_fit_is_told_with_its_size(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"1 files of 300000 bytes do not fit .* of 262144"):
        filesystem.of_files({"big": bytes(300_000)}, SIZE)
    with pytest.raises(CommandError, match="LittleFS of 1 files"):
        filesystem.of_files({"n" * 256: b""}, SIZE)
    with pytest.raises(CommandError, match="no folder"):
        filesystem.build(tmp_path / "absent", SIZE)
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    with pytest.raises(CommandError, match="neither a file nor a folder"):
        filesystem.build(tmp_path, SIZE)


@pytest.mark.parametrize(
    ("micropython", "version"),
    [
        ("1.21.0", V2_0), ("v1.21.0", V2_0), ("1.22.0", V2_1), ("v1.22.0-preview.3", V2_1),
        ("1.26.1", V2_1), ("v1.28.0", V2_1), ("2.0", V2_1), ("", V2_0), ("unknown", V2_0),
    ],
)  # fmt: skip
def test_the_disk_version_is_the_newest_that_this_micropython_mounts(
    micropython: str, version: int
) -> None:
    assert disk_version(micropython) == version


@pytest.mark.parametrize("image", [b"", b"x", b"\xff" * 8192, bytes(8192), b"\xff" * 4096])
def test_what_is_no_filesystem_is_told_so(image: bytes) -> None:
    with pytest.raises(CommandError):
        filesystem.read(image)


def test_a_ring_of_folders_and_folders_that_share_their_own_come_to_an_end() -> None:
    file, folder, place, tail = (0x001, 0, b"f"), (0x002, 0, b"d"), struct.pack("<2L", 2, 3), 0x601
    ring = [file, (0x201, 0, b""), (tail, 0x3FF, place)]
    two = [(0x002, n, b"d%d" % n) for n in range(2)]
    tree = [tag for name in two for tag in (name, (0x200, name[1], place))]
    for inner in (ring, tree, [(tail, 0x3FF, place)]):
        outer = [(0x002, 1, folder[2]), (0x200, 1, place)]
        with pytest.raises(CommandError, match="damaged"):
            filesystem.read(_made_by_hand(outer, inner))


Tags = list[tuple[int, int, bytes]]  # type, id, data


def _made_by_hand(root: Tags, folder: Tags) -> bytes:
    """A filesystem of 32 blocks with two pairs; source: littlefs's SPEC.md."""
    sizes = struct.pack("<6L", V2_1, 4096, 32, 255, 0x7FFFFFFF, 1022)
    superblock = [(0x0FF, 0, b"littlefs"), (0x201, 0, sizes), *root]
    blocks = [_block(rev, tags) for tags in (superblock, folder) for rev in (2, 1)]
    return b"".join(blocks).ljust(32 * 4096, b"\xff")


def _block(revision: int, tags: Tags) -> bytes:
    made, before = struct.pack("<L", revision), 0xFFFFFFFF
    created = [(0x401, one, b"") for one in sorted({t[1] for t in tags if t[0] < 0x100})]
    for kind, number, data in [*created, *tags]:
        tag = kind << 20 | number << 10 | len(data)
        made, before = made + struct.pack(">L", tag ^ before) + data, tag
    end = -(-(len(made) + 8) // 32) * 32
    made += struct.pack(">L", (0x500 << 20 | 0x3FF << 10 | end - len(made) - 4) ^ before)
    return (made + struct.pack("<L", binascii.crc32(made) ^ 0xFFFFFFFF)).ljust(4096, b"\xff")


SMALL = filesystem.of_files(
    {"a": b"a" * 50, "lib/b": b"b" * 9000, "lib/c/d": b"d" * 300}, 16 << 12
)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SMALL) - 1), st.binary(min_size=1, max_size=16)), max_size=4
    )
)
def test_a_damaged_one_is_read_or_refused_and_no_more(damage: list[tuple[int, bytes]]) -> None:
    image = bytearray(SMALL)
    for place, data in damage:
        image[place : place + len(data)] = data
    try:
        found = filesystem.read(bytes(image[: len(SMALL)]))
    except CommandError:
        return
    assert sum(map(len, found.values())) <= len(SMALL)
