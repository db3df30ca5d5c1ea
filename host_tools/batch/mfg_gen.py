"""The two CSVs of Espressif's mfg_gen.py, read as they are: which keys there are, and the values
of each device.

config: rows `NAME,namespace,` and below each its keys, `KEY,data|file,ENCODING[,REPEAT]`; no head;
lines that begin with # are comments.
values: a head with those keys, and one row a device; REPEAT: the first row's value holds for all;
other columns are metadata. The keys may be in any order here. Source: ESP-IDF Programming Guide,
"Manufacturing Utility".

Owns reading and checking both, every row before anything is made of one. Writes nothing, where
mfg_gen leaves a CSV with every device's secrets. Doesn't own images (nvs) nor what metadata
means.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import host_tools.nvs.page as page
from host_tools.batch import table
from host_tools.batch.faults import BadRow, BadRows
from host_tools.batch.listing import Columns
from host_tools.errors import CommandError
from host_tools.nvs.entries_csv import contents_of, without_comments
from host_tools.nvs.entry import ENCODINGS, Entry, prepare
from host_tools.nvs.errors import NvsError
from host_tools.nvs.lint import lint
from host_tools.nvs.writer import partition

_TYPES = ("data", "file")
_REPEAT = "REPEAT"


@dataclass(frozen=True)
class Column:
    """One key of the config; line: where it stands there, from 1."""

    namespace: str
    key: str
    encoding: str
    is_file: bool
    repeat: bool
    line: int


@dataclass(frozen=True)
class Device:
    """One row of the values: what goes into its NVS, and what doesn't; line: in the file."""

    line: int
    entries: tuple[Entry, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_config(source: Path | TextIO) -> list[Column]:
    """Return the keys in their order. Raises BadRows with every bad row, CommandError."""
    where, faults, columns = _name(source), list[BadRow](), list[Column]()
    found = table.read(without_comments(_text(source)), where, faults)
    namespace = ""
    for line, row in [(found.line, list(found.head)), *found.rows]:
        fields = [text.strip() for text in row]
        if fields[:2] == ["key", "type"]:  # as head, which some put above it
            continue
        try:
            if len(fields) > 1 and fields[1] == "namespace":
                page.check_name(fields[0], "namespace")
                namespace = fields[0]
            else:
                columns.append(_column(fields, namespace, line, columns))
        except NvsError as error:
            faults.append(BadRow(line, str(error)))
    if faults:
        raise BadRows(where, faults)
    if not columns:
        raise CommandError(f"{where} has no keys: a row of it is KEY,data,ENCODING")
    return columns


def _column(fields: Sequence[str], namespace: str, line: int, before: Sequence[Column]) -> Column:
    if len(fields) not in (3, 4):
        raise NvsError(f"has {len(fields)} fields; a row is KEY,data,ENCODING or ...,REPEAT")
    key, kind, encoding, *flags = fields
    page.check_name(key, "key")
    if not namespace:
        raise NvsError(f"key {key!r} stands before any namespace: begin with NAME,namespace,")
    if kind not in _TYPES:
        raise NvsError(f"key {key!r} has the type {kind!r}; take data, file or namespace")
    if encoding.lower() not in ENCODINGS and not encoding.startswith("blob_"):
        raise NvsError(f"key {key!r} has the encoding {encoding!r}; take {', '.join(ENCODINGS)}")
    if flags and flags[0] not in ("", _REPEAT):
        raise NvsError(f"key {key!r}: {flags[0]!r} is not {_REPEAT}")
    if any((one.namespace, one.key) == (namespace, key) for one in before):
        raise NvsError(f"key {key!r} is in namespace {namespace!r} already")
    return Column(namespace, key, encoding, kind == "file", flags == [_REPEAT], line)


def read_values(
    source: Path | TextIO, columns: Sequence[Column], size: int | None = None
) -> list[Device]:
    """Return the devices, all rows checked; size: of the partition that they are to fit, bytes.

    Files named in values are looked for from the present folder, as mfg_gen does, and beside the
    CSV. Raises BadRows with every bad row, CommandError.
    """
    where, faults = _name(source), list[BadRow]()
    found = table.read(_text(source), where, faults)
    places = _places(found.head, columns, where)
    folder = source.parent if isinstance(source, Path) else Path()
    devices, first = [], list[str]()
    for line, row in found.rows:
        try:
            if len(row) != len(found.head):
                raise NvsError(f"has {len(row)} fields, the head has {len(found.head)}")
            first = first or row
            devices.append(_device(line, row, first, found.head, places, folder))
            _check(devices[-1], size)
        except NvsError as error:
            faults.append(BadRow(line, str(error)))
    if faults:
        raise BadRows(where, sorted(faults, key=lambda fault: fault.line))
    if not devices:
        raise CommandError(f"{where} has no devices below its head")
    return devices


def listed(columns: Sequence[Column], serial: str | None) -> Columns:
    """Return how values are read as a list of boards; serial: what its serials are called.

    What goes into a board's NVS may be secret: it is not kept with the board.
    """
    return Columns(
        serial,
        frozenset(one.key for one in columns),
        frozenset(one.key for one in columns if one.repeat),
        "id",  # as mfg_gen counts its devices
    )


def unreadable(columns: Iterable[Column]) -> list[str]:
    """Return one line for each key that MicroPython can not read."""
    return lint(Entry(one.namespace, one.key, one.encoding, "") for one in columns)


_Places = Sequence[tuple[Column, int]]


def _places(head: Sequence[str], columns: Sequence[Column], where: str) -> _Places:
    """Return which column of the values each key has: the next of its name, as mfg_gen counts."""
    taken: set[int] = set()
    places, missing = [], []
    for column in columns:
        place = next(
            (n for n, name in enumerate(head) if name == column.key and n not in taken), None
        )
        if place is None:
            missing.append(column.key)
            continue
        taken.add(place)
        places.append((column, place))
    if missing:
        raise CommandError(f"{where} has no column for {', '.join(missing)} of the config")
    return places


def _device(
    line: int,
    row: Sequence[str],
    first: Sequence[str],
    head: Sequence[str],
    places: _Places,
    folder: Path,
) -> Device:
    entries = []
    for column, place in places:
        text = (first if column.repeat else row)[place]
        value = contents_of(text, folder) if column.is_file else text
        entries.append(Entry(column.namespace, column.key, column.encoding, value))
    used = {place for _, place in places}
    rest = {name: row[n] for n, name in enumerate(head) if n not in used and name}
    return Device(line, tuple(entries), rest)


def _check(device: Device, size: int | None) -> None:
    prepare(device.entries) if size is None else partition(device.entries, size)


def _name(source: Path | TextIO) -> str:
    return str(source) if isinstance(source, Path) else "stdin"


def _text(source: Path | TextIO) -> str:
    text = table.load(source) if isinstance(source, Path) else source.read()
    return text.removeprefix("\ufeff")
