"""Where the eFuses of each chip lie, and which of them guard which: data only.

Source: the chapters "eFuse Controller" of the technical reference manuals.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Words = list[list[int]]  # of every block
Field = tuple[int, int, int, int]  # block, word, lowest bit, number of bits


@dataclass(frozen=True)
class Block:
    """One block: offsets of its registers, its length, and which bits protect it."""

    read: int
    write: int
    words: int
    write_bit: int | None = None  # of WR_DIS
    read_bit: int | None = None  # of RD_DIS


@dataclass(frozen=True)
class EfuseLayout:
    """The eFuses of one kind of chip.

    Offsets count from base, `size` bytes long. one_window: the blocks share one set of registers
    to be written from, and the command says which is meant; otherwise a command burns all that
    was written. guards: bit of WR_DIS to (word, mask) of block 0 that it protects; veils: the
    same for RD_DIS. born: the words with which a chip leaves its maker, from its MAC.
    """

    base: int
    size: int
    conf: int
    cmd: int
    one_window: bool
    blocks: tuple[Block, ...]
    write_disable: Field
    read_disable: Field
    guards: Mapping[int, tuple[tuple[int, int], ...]]
    veils: Mapping[int, tuple[tuple[int, int], ...]]
    fields: Mapping[str, Field]
    key_purposes: tuple[Field, ...]
    mac: tuple[Field, Field]  # its first two bytes, its last four
    born: Callable[[bytes], Words]


def _bits(*ranges: int) -> int:
    """Return the mask of bits from..to, from..to, ..."""
    pairs = zip(ranges[::2], ranges[1::2], strict=True)
    return sum((1 << high + 1) - (1 << low) for low, high in pairs)


def _empty(blocks: tuple[Block, ...]) -> Words:
    return [[0] * block.words for block in blocks]


_BLOCKS = (
    Block(0x02C, 0, 6),
    Block(0x044, 0, 6, 20),
    Block(0x05C, 0, 8, 21),
    Block(0x07C, 0, 8, 22),
    *(Block(0x09C + 0x20 * key, 0, 8, 23 + key, key) for key in range(7)),
)
_GUARDS: dict[int, tuple[tuple[int, int], ...]] = {
    0: ((1, _bits(0, 6)),),
    1: ((1, _bits(7, 7)),),
    2: ((1, _bits(8, 12, 14, 15, 19, 20)),),
    3: ((1, _bits(29, 31)), (2, _bits(0, 17))),
    4: ((2, _bits(18, 20)),),
    5: ((2, _bits(21, 21)),),
    6: ((2, _bits(22, 22)),),
    7: ((2, _bits(23, 23)),),
    8: ((2, _bits(24, 27)),),
    9: ((2, _bits(28, 31)),),
    10: ((3, _bits(0, 3)),),
    11: ((3, _bits(4, 7)),),
    12: ((3, _bits(8, 11)),),
    13: ((3, _bits(12, 15)),),
    15: ((3, _bits(20, 20)),),
    16: ((3, _bits(21, 21)),),
    18: ((3, _bits(28, 31)), (4, _bits(0, 29))),
    19: ((4, _bits(31, 31)), (5, _bits(0, 1))),
    30: ((1, _bits(21, 28)),),
    31: ((1, _bits(16, 18)),),
}
_FIELDS: dict[str, Field] = {
    "flash encryption": (0, 2, 18, 3),  # SPI_BOOT_CRYPT_CNT
    "secure boot": (0, 3, 20, 1),  # SECURE_BOOT_EN
    "aggressive revoke": (0, 3, 21, 1),
    "revoked keys": (0, 2, 21, 3),
    "no download mode": (0, 4, 0, 1),  # DIS_DOWNLOAD_MODE
    "secure download mode": (0, 4, 5, 1),  # ENABLE_SECURITY_DOWNLOAD
    "soft no JTAG": (0, 1, 16, 3),
    "no JTAG": (0, 1, 19, 1),
}
_PURPOSES: tuple[Field, ...] = (
    (0, 2, 24, 4), (0, 2, 28, 4), (0, 3, 0, 4), (0, 3, 4, 4), (0, 3, 8, 4), (0, 3, 12, 4),
)  # fmt: skip


def _born(minor: int, mac: bytes) -> Words:
    words = _empty(_BLOCKS)
    words[1][0] = int.from_bytes(mac[2:], "big")
    words[1][1] = int.from_bytes(mac[:2], "big")
    words[1][3] = minor << 18  # WAFER_VERSION_MINOR; package 0, no flash inside
    return words


def _newer(
    base: int, minor: int, guards: Mapping[int, tuple[tuple[int, int], ...]]
) -> EfuseLayout:
    return EfuseLayout(
        base=base,
        size=0x200,
        conf=0x1CC,
        cmd=0x1D4,
        one_window=True,
        blocks=_BLOCKS,
        write_disable=(0, 0, 0, 32),
        read_disable=(0, 1, 0, 7),
        guards=guards,
        veils={},
        fields=_FIELDS,
        key_purposes=_PURPOSES,
        mac=((1, 1, 0, 16), (1, 0, 0, 32)),
        born=lambda mac: _born(minor, mac),
    )


C3_EFUSES = _newer(0x60008800, 4, _GUARDS)
S3_EFUSES = _newer(
    0x60007000,
    2,
    {
        **_GUARDS,
        2: ((1, _bits(8, 15, 19, 20)), (3, _bits(22, 25))),
        17: ((3, _bits(26, 27)), (4, _bits(30, 30))),
    },
)

_ESP32_BLOCKS = (
    Block(0x00, 0x1C, 7),
    Block(0x38, 0x98, 8, 7, 0),
    Block(0x58, 0xB8, 8, 8, 1),
    Block(0x78, 0xD8, 8, 9, 2),
)


def _crc8(data: bytes) -> int:
    """Return the check byte that an ESP32 keeps with its MAC: CRC-8 as of Maxim's 1-Wire."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def _esp32_born(mac: bytes) -> Words:
    words = _empty(_ESP32_BLOCKS)
    words[0][1] = int.from_bytes(mac[2:], "big")
    words[0][2] = int.from_bytes(mac[:2], "big") | _crc8(mac) << 16
    words[0][3] = 1 << 9 | 1 << 13 | 1 << 15  # D0WD, rated 240 MHz, first bit of the revision
    words[0][4] = 64  # CK8M_FREQ
    words[0][5] = 1 << 20 | 1 << 24  # second bit of the revision, minor 1
    return words


_CODED = ((3, _bits(14, 14)), (5, _bits(28, 31)), (6, _bits(0, 1, 10, 10)))
ESP32_EFUSES = EfuseLayout(
    base=0x3FF5A000,
    size=0x120,
    conf=0x0FC,
    cmd=0x104,
    one_window=False,
    blocks=_ESP32_BLOCKS,
    write_disable=(0, 0, 0, 16),
    read_disable=(0, 0, 16, 4),
    guards={
        0: ((0, _bits(16, 19)),),
        1: ((0, _bits(0, 15)),),
        2: ((0, _bits(20, 27)),),
        3: ((1, _bits(0, 31)), (2, _bits(0, 23)), (3, _bits(0, 1, 3, 3)), (5, _bits(22, 23))),
        4: ((4, _bits(0, 12)),),
        5: ((4, _bits(14, 16)),),
        6: ((5, _bits(0, 19)),),
        10: _CODED,
        12: ((6, _bits(4, 4)),),
        13: ((6, _bits(5, 5)),),
        14: ((6, _bits(6, 6)),),
        15: ((6, _bits(2, 2, 7, 9)),),
    },
    veils={3: _CODED},
    fields={
        "flash encryption": (0, 0, 20, 7),  # FLASH_CRYPT_CNT
        "secure boot": (0, 6, 5, 1),  # ABS_DONE_1: version 2
        "no download mode": (0, 0, 27, 1),  # UART_DOWNLOAD_DIS
    },
    key_purposes=(),
    mac=((0, 2, 0, 16), (0, 1, 0, 32)),
    born=_esp32_born,
)
