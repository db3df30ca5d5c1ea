"""The CSV of esp-idf-nvs-partition-gen: one partition, a row for each namespace and key.

    key,type,encoding,value
    app,namespace,,
    device_no,data,i32,101
    cert,file,binary,cert.der

Lines that begin with # are comments. Source: ESP-IDF Programming Guide, "NVS Partition Generator
Utility". One thing differs: a namespace that is named again is gone on with, where the tool puts
the keys below it into whichever namespace was new last.

Owns reading and checking the file. Doesn't own values (entry.py) nor images (writer.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import host_tools.nvs.page as page
from host_tools.batch import table
from host_tools.batch.faults import BadRow, BadRows
from host_tools.errors import CommandError
from host_tools.nvs.entry import Entry, prepare
from host_tools.nvs.errors import NvsError

_HEAD = ("key", "type", "encoding", "value")
_TYPES = ("data", "file")
_LARGEST = 1 << 20  # bytes of a file: a blob has at most 508 000


@dataclass(frozen=True)
class Row:
    """A key with its value, or with the name of the file that has it; line: from 1."""

    namespace: str
    key: str
    encoding: str
    is_file: bool
    text: str = field(repr=False)
    line: int


def is_entries(file: Path) -> bool:
    """Tell whether a CSV has the head of one; CommandError if it can not be read."""
    found = table.read(without_comments(table.load(file)), str(file), [])
    return {name.lower() for name in found.head} >= set(_HEAD)


def read_rows(file: Path) -> list[Row]:
    """Return the keys in their order, values unchecked. Raises BadRows, CommandError."""
    faults = list[BadRow]()
    found = table.read(without_comments(table.load(file)), str(file), faults)
    head = [name.lower() for name in found.head]
    if missing := [name for name in _HEAD if name not in head]:
        raise CommandError(
            f"{file}: its first line names no {', '.join(missing)}: it is to be {','.join(_HEAD)}"
        )
    rows, namespace = list[Row](), ""
    for line, fields in found.rows:
        try:
            if any(text.strip() for text in fields[len(head) :]):
                raise NvsError(f"has {len(fields)} fields, the head has {len(head)}")
            named = dict(zip(head, fields, strict=False))
            if named.get("type", "").strip() == "namespace":
                namespace = named["key"].strip()
                page.check_name(namespace, "namespace")
            else:
                rows.append(_row(named, namespace, line))
        except NvsError as error:
            faults.append(BadRow(line, str(error)))
    _refuse(file, faults)
    if not rows:
        raise CommandError(f"{file} has no keys: a row of it is KEY,data,ENCODING,VALUE")
    return rows


def read_entries(file: Path) -> list[Entry]:
    """Return the entries, each checked; files they name are read. Raises BadRows, CommandError.

    Files are looked for from the present folder, as the tool does, and beside the CSV.
    """
    faults, entries, lines = list[BadRow](), list[Entry](), dict[tuple[str, str], int]()
    for row in read_rows(file):
        try:
            before = lines.setdefault((row.namespace, row.key), row.line)
            if before != row.line:
                raise NvsError(
                    f"key {row.key!r} in namespace {row.namespace!r} is in line {before} already"
                )
            value = contents_of(row.text, file.parent) if row.is_file else row.text
            entries.append(Entry(row.namespace, row.key, row.encoding, value))
            prepare(entries[-1:])
        except NvsError as error:
            faults.append(BadRow(row.line, str(error)))
    _refuse(file, faults)
    return entries


def without_comments(text: str) -> str:
    """Return a CSV's text, its comments as empty lines: the others keep their numbers."""
    return "".join("\n" if line.startswith("#") else line for line in _lines(text))


def contents_of(name: str, folder: Path) -> bytes:
    """Return a file's bytes, looked for from the present folder and from this. Raises NvsError."""
    try:
        file = Path(name).expanduser()
        if not file.exists() and not file.is_absolute():
            file = folder / file
        with open(file, "rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise NvsError(f"can not read the file {name!r}: {error.strerror}") from None
    except (ValueError, RuntimeError) as error:  # a NUL in the name; ~nobody
        raise NvsError(f"can not read the file {name!r}: {error}") from None
    if len(content) > _LARGEST:
        raise NvsError(
            f"the file {name!r} has more than {_LARGEST >> 20} MiB: no value is so long"
        )
    return content


# not splitlines(): it takes characters for ends of lines that may be in a value
def _lines(text: str) -> Iterator[str]:
    return (line + "\n" for line in text.split("\n"))


def _row(named: Mapping[str, str], namespace: str, line: int) -> Row:
    if "value" not in named:
        raise NvsError(f"has {len(named)} fields; a row is KEY,data,ENCODING,VALUE")
    key, kind, encoding = (named[name].strip() for name in _HEAD[:3])
    page.check_name(key, "key")
    if not namespace:
        raise NvsError(f"key {key!r} stands before any namespace: begin with NAME,namespace,,")
    if kind not in _TYPES:
        raise NvsError(f"key {key!r} has the type {kind!r}; take data, file or namespace")
    return Row(namespace, key, encoding, kind == "file", named["value"], line)


def _refuse(file: Path, faults: list[BadRow]) -> None:
    if faults:
        raise BadRows(str(file), sorted(faults, key=lambda fault: fault.line))
