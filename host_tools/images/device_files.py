"""Files with what is a board's own, for whoever flashes boards with tools that take files.

They hold device keys, and values that may be secrets: each is readable by the user alone, and
none is written that was not asked for. index.csv beside them says which is whose, and holds
fingerprints only. `keystead flash` needs no such files.
"""

import csv
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from host_tools import keys, private_file
from host_tools.errors import CommandError
from host_tools.images import parts
from host_tools.images.contents import Contents
from host_tools.images.parts import Part
from host_tools.nvs import Entry
from keystead.record import FactoryRecord
from keystead.registration_id import format_mac

INDEX = "index.csv"
_COLUMNS = ("file", "offset", "serial", "registration_id", "mac", "fingerprint")


@dataclass(frozen=True)
class Owner:
    """A board that is to get a file. serial: "" if it has none; values: beside its record."""

    serial: str
    record: FactoryRecord = field(repr=False)
    values: Sequence[Entry] = field(default=(), repr=False)


class DeviceFiles:
    """The files of many boards in one folder: an NVS partition each, or the whole flash."""

    def __init__(self, folder: Path, contents: Contents, number: int, whole: bool = False) -> None:
        """Make the folder for so many files. CommandError if it is not empty, or has no room."""
        self._folder = folder
        self._layout = contents.layout
        self._own = parts.OwnParts(contents.layout)
        self._size = contents.layout.flash_size if whole else contents.layout.nvs.size
        self._offset = 0 if whole else contents.layout.nvs.offset
        self._around = _around(contents) if whole else (b"", b"")
        self._suffix = "flash" if whole else "nvs"
        self._check_room(number)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise CommandError(f"{folder} is not empty: what is in it may be the only copy")
        except OSError as error:
            raise CommandError(f"can not write {folder}: {error.strerror}") from None

    def write(self, owners: Iterable[Owner]) -> Iterator[Owner]:
        """Write a file for each board and yield the board. Raises CommandError."""
        try:
            with open(self._folder / INDEX, "x", newline="", encoding="utf-8") as index:
                rows = csv.writer(index, lineterminator="\n")
                rows.writerow(_COLUMNS)
                for number, owner in enumerate(owners, 1):
                    name = self._name(number, owner.record.registration_id)
                    self._write(name, self._part(owner))
                    rows.writerow(self._row(name, owner))
                    yield owner
        except OSError as error:
            raise CommandError(f"can not write into {self._folder}: {error.strerror}") from None

    def _check_room(self, number: int) -> None:
        there = next(
            place for place in (self._folder, *self._folder.absolute().parents) if place.exists()
        )
        wanted, free = number * self._size, shutil.disk_usage(there).free
        if wanted > free:
            raise CommandError(
                f"{number} files of {self._size} bytes need {wanted >> 20} MiB, the disk of "
                f"{self._folder} has {free >> 20} MiB: take another disk, or fewer boards"
            )

    def _part(self, owner: Owner) -> Part:
        packed = owner.record.pack()
        if owner.values:
            return parts.own(self._layout, packed, owner.values)
        return self._own.part(packed)

    def _write(self, name: str, own: Part) -> None:
        before, after = self._around
        file = self._folder / name
        try:
            with open(file, "xb", opener=private_file.opener) as output:
                output.write(before)
                output.write(own.data)
                output.write(after)
        except BaseException:
            file.unlink(missing_ok=True)  # half a file would look like a whole one
            raise

    def _name(self, number: int, registration_id: str) -> str:
        # in order, and told apart where capitals are not; a colon is no part of a name everywhere
        return f"{number:06}-{registration_id.replace(':', '_')}.{self._suffix}.bin"

    def _row(self, name: str, owner: Owner) -> tuple[str, ...]:
        record = owner.record
        mac, fingerprint = format_mac(record.mac, ":"), keys.fingerprint(record.keys()[0])
        place = hex(self._offset)
        return name, place, owner.serial, record.registration_id, mac, fingerprint


def _around(contents: Contents) -> tuple[bytes, bytes]:
    """Return what is before and after NVS in a flash that is whole."""
    layout = contents.layout
    flash = parts.merged(contents.parts, layout.flash_size)
    return flash[: layout.nvs.offset], flash[layout.nvs.end :]
