"""The eFuses of a virtual board and the controller that burns them.

Owns what is burnt, its file, and the registers PGM_DATA, CONF and CMD with the rules of write and
read protection. Doesn't own where they lie (efuse_layout). The Reed-Solomon check words that come
with a block are taken as they are. Source: TRM, "eFuse Controller".
"""

import struct
from pathlib import Path

from host_tools import whole_file
from host_tools.errors import CommandError
from host_tools.virtual_board.efuse_layout import Block, EfuseLayout, Field, Words

_WRITE, _READ = 0x5A5A, 0x5AA5  # what CONF must hold for a command to be obeyed
_PROGRAM_COMMAND, _READ_COMMAND = 2, 1


class Efuses:
    """What is burnt into one chip; kept in a file if there is one."""

    def __init__(self, layout: EfuseLayout, mac: bytes, file: Path | None = None):
        self._layout, self._file = layout, file
        self._burnt = self._load() or layout.born(mac)
        self._written: dict[int, int] = {}
        self._seen: Words = []
        self.refresh()

    def refresh(self) -> None:
        """Copy to the registers what may be read, as a reset and a READ command do."""
        hidden = self.field(self._layout.read_disable, burnt=True)
        self._seen = [
            [0] * block.words if _has(hidden, block.read_bit) else list(words)
            for block, words in zip(self._layout.blocks, self._burnt, strict=True)
        ]
        for bit, places in self._layout.veils.items():
            for word, mask in places if _has(hidden, bit) else ():
                self._seen[0][word] &= ~mask

    def field(self, field: Field, burnt: bool = False) -> int:
        """Return the value of a field as the chip sees it since the last refresh()."""
        block, word, low, bits = field
        return (self._burnt if burnt else self._seen)[block][word] >> low & (1 << bits) - 1

    def named(self, name: str) -> int:
        """Return the value of one of the layout's named fields, 0 where the chip lacks it."""
        field = self._layout.fields.get(name)
        return self.field(field) if field else 0

    @property
    def mac(self) -> bytes:
        """Return the six bytes that the maker burnt."""
        first, last = (self.field(field) for field in self._layout.mac)
        return first.to_bytes(2, "big") + last.to_bytes(4, "big")

    def key_purposes(self) -> list[int]:
        """Return what the key blocks are for."""
        return [self.field(field) for field in self._layout.key_purposes]

    def burn(self, name: str) -> None:
        """Burn one of the layout's named fields, as the maker of the board did; CommandError."""
        if name not in self._layout.fields:
            raise CommandError(f"this chip has no {name}")
        block, word, low, bits = self._layout.fields[name]
        one = 1 if name == "flash encryption" else (1 << bits) - 1
        self._burnt[block][word] |= one << low
        self.refresh()

    def read_register(self, offset: int) -> int:
        """Return the word at an offset of the controller's window."""
        for block, words in zip(self._layout.blocks, self._seen, strict=True):
            if block.read <= offset < block.read + 4 * block.words:
                return words[(offset - block.read) // 4]
        return self._written.get(offset, 0)

    def write_register(self, offset: int, value: int) -> None:
        """Store a word; one for CMD is obeyed, and done at once."""
        if offset != self._layout.cmd:
            self._written[offset] = value
            return
        key = self._written.get(self._layout.conf, 0)
        if value & _PROGRAM_COMMAND and key == _WRITE:
            self._program(value >> 2 & 0xF)
        elif value & _READ_COMMAND and key == _READ:
            self.refresh()

    def _program(self, number: int) -> None:
        if self._layout.one_window:
            if number < len(self._layout.blocks):
                self._burn(number)
        else:
            for other in reversed(range(len(self._layout.blocks))):
                self._burn(other)
        self._save()

    def _burn(self, number: int) -> None:
        block, layout = self._layout.blocks[number], self._layout
        protected = self.field(layout.write_disable, burnt=True)
        if _has(protected, block.write_bit):
            return
        words = [self._written.pop(block.write + 4 * i, 0) for i in range(block.words)]
        for bit, places in layout.guards.items() if number == 0 else ():
            for word, mask in places if _has(protected, bit) else ():
                words[word] &= ~mask
        for index, word in enumerate(words):
            self._burnt[number][index] |= word

    def _save(self) -> None:
        if self._file is None:
            return
        packed = b"".join(struct.pack(f"<{len(words)}I", *words) for words in self._burnt)
        whole_file.write(self._file, packed, 0o600)  # keys are among them

    def _load(self) -> Words | None:
        if self._file is None:
            return None
        try:
            packed = self._file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CommandError(f"can not read {self._file}: {error.strerror}") from None
        return _unpack(packed, self._layout.blocks, self._file)


def _unpack(packed: bytes, blocks: tuple[Block, ...], file: Path) -> Words:
    if len(packed) != sum(4 * block.words for block in blocks):
        raise CommandError(f"{file} does not hold the eFuses of this chip: move it away")
    words = iter(struct.unpack(f"<{len(packed) // 4}I", packed))
    return [[next(words) for _ in range(block.words)] for block in blocks]


def _has(bits: int, bit: int | None) -> bool:
    return bit is not None and bool(bits >> bit & 1)
