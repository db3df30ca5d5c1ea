"""A CSV as factories send them: its encoding, its separator, its head, its rows.

Owns getting from bytes to rows of text. Doesn't own what the rows say (listing).
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from host_tools.batch.faults import BadRow
from host_tools.errors import CommandError

LARGEST = 1 << 28  # bytes: a hundred characters for each of two million boards
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class Table:
    """A head and the rows below it; line: of the head, from 1."""

    head: Sequence[str]
    rows: Iterator[tuple[int, list[str]]]
    line: int


def load(file: Path) -> str:
    """Return the text of a CSV's file; CommandError."""
    try:
        with file.open("rb") as stream:
            return decode(stream, str(file))
    except OSError as error:
        raise CommandError(f"can not read {file}: {error.strerror}") from None


def decode(stream: BinaryIO, where: str) -> str:
    """Return a CSV's text: UTF-8, or UTF-16 with its mark, as Excel writes both; CommandError."""
    raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise CommandError(f"{where} has more than {LARGEST >> 20} MB: is it a list of boards?")
    mark, encoding = next((pair for pair in _MARKS if raw.startswith(pair[0])), (b"", "utf-8"))
    try:
        return raw[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start + len(mark)) + 1
        raise CommandError(
            f"{where}: line {line} is not {encoding.upper()}: save it as CSV UTF-8"
        ) from None


def read(text: str, where: str, faults: list[BadRow]) -> Table:
    """Return the table in a text; rows that are no CSV go to faults as they are come upon.

    Rows come with the line they begin on. Empty lines, and lines of nothing but separators, are
    passed over. CommandError if there is no head.
    """
    rows = _rows(text, _separator(text), faults)
    line, head = next(rows, (0, []))
    if faults:
        raise CommandError(f"{where}: line {faults[0].line}: {faults[0].problem}")
    if not head:
        raise CommandError(f"{where} is empty: its first line names the columns")
    return Table([name.strip() for name in head], rows, line)


def _rows(text: str, separator: str, faults: list[BadRow]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.append(BadRow(line, _why(error)))
            return  # where the next row begins can not be known
        if any(map(str.strip, row)) and not (line == 1 and _says_separator(row, separator)):
            yield line, row
        line = reader.line_num + 1


def _why(error: csv.Error) -> str:
    if "field limit" in str(error):
        most = csv.field_size_limit()
        return f"a field has more than {most} characters: is a quote not closed?"
    return f"its quotes are not closed as they should be ({error})"


# Excel's own first line: sep=;
def _says_separator(row: list[str], separator: str) -> bool:
    return separator.join(row).strip() in {f"sep={separator}", "sep="}


def _separator(text: str) -> str:
    head = next((line for line in text.splitlines() if line.strip()), "")
    if head.startswith("sep=") and len(head) > 4:
        return head[4]
    return max(_SEPARATORS, key=head.count)
