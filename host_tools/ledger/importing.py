"""Importing: boards that were made elsewhere, from a CSV or JSON list.

Owns the file's form: what `ledger export` writes, or a table with serial, mac and registration_id
columns. Doesn't own the rows' checks (host_tools.batch) nor what is written (ledger.py).
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

from host_tools.batch import Unit, units_from_csv
from host_tools.errors import CommandError
from host_tools.ledger.exporting import COLUMNS

_LARGEST = 256 * 1024 * 1024


def units(path: Path, template: str, wide: bool) -> list[Unit]:
    """Return the boards of a list, each with its MAC; CommandError, with every bad row named."""
    found = units_from_csv(_table(path) or path, template, wide, called=str(path))
    for unit in found:
        if unit.mac is None:
            raise CommandError(f"{path}: line {unit.line}, serial {unit.serial}: names no MAC")
    return found


# a JSON array as a CSV, for one set of checks; None for what is a CSV already
def _table(path: Path) -> io.StringIO | None:
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
            if not start.startswith(b"["):
                return None
            file.seek(0)
            documents = json.loads(file.read(_LARGEST).decode("utf-8-sig"))
    except OSError as error:
        raise CommandError(f"can not read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}") from None
    rows = [_row(path, number, one) for number, one in enumerate(documents, 1)]
    names = dict.fromkeys(name for row in rows for name in row)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(names) or ["serial"], restval="")
    writer.writeheader()
    writer.writerows(rows)
    table.seek(0)
    return table


def _row(path: Path, number: int, document: Any) -> dict[str, str]:
    if not isinstance(document, dict):
        raise CommandError(f"{path}: item {number} is no object with a board's names and values")
    columns = {name: column for column, name in COLUMNS.items()}
    extra = document.get("extra")
    merged = {**(extra if isinstance(extra, dict) else {}), **document}
    merged.pop("extra", None)
    return {
        columns.get(str(name), str(name)): "" if value is None else str(value)
        for name, value in merged.items()
    }
