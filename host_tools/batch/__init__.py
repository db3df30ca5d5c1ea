"""Batches: which boards are to be made, from a range of serials or a CSV.

Owns reading and checking the list, all of it, before anybody acts upon it. Doesn't own what became
of it: that is the ledger.
"""

from pathlib import Path
from typing import TextIO

from host_tools.batch import listing, table
from host_tools.batch.faults import BadRow, BadRows
from host_tools.batch.listing import Columns, Rule
from host_tools.batch.serial_range import serials
from host_tools.batch.unit import Batch, Unit, check_serial
from host_tools.errors import CommandError
from keystead.registration_id import TEMPLATE

__all__ = [
    "BadRow",
    "BadRows",
    "Batch",
    "Columns",
    "Unit",
    "check_serial",
    "units_from_csv",
    "units_from_range",
]


def units_from_csv(
    source: Path | TextIO,
    template: str = TEMPLATE,
    wide: bool = False,
    columns: Columns = Columns(),  # noqa: B008  frozen
    called: str = "stdin",
) -> list[Unit]:
    """Return the units of a CSV in its order, from a file or an open text.

    Columns, in any order and case: serial, mac (or none: whichever board is next), and
    registration_id (or none: the template makes it); others are kept as Unit.extra; `columns`
    says what is otherwise. Fields are apart by comma, semicolon, tab or |; BOM, CRLF and empty
    lines do no harm. called: what messages call an open text. Raises BadRows with every bad row,
    duplicates included, and CommandError if it is no such list at all.
    """
    rule, faults = Rule(template, wide), list[BadRow]()
    where = str(source) if isinstance(source, Path) else called
    text = table.load(source) if isinstance(source, Path) else source.read()
    rows = table.read(text.removeprefix("\ufeff"), where, faults)
    found = listing.unique(listing.units(rows, where, rule, faults, columns), faults)
    if faults:
        raise BadRows(where, sorted(faults, key=lambda fault: fault.line))
    if not found:
        raise CommandError(f"{where} has no boards below its head")
    return found


def units_from_range(text: str, template: str = TEMPLATE, wide: bool = False) -> list[Unit]:
    """Return the units of a range of serials, e.g. "sn-0001..sn-9999"; CommandError.

    Their line is their number in the range, from 1.
    """
    rule = Rule(template, wide)
    if "{serial}" not in template and "{mac}" not in template:
        raise CommandError(f"template {template!r} gives every board the same registration ID")
    found = [Unit(serial, line=number) for number, serial in enumerate(serials(text), 1)]
    try:
        for unit in found:
            check_serial(unit.serial)
            rule.name(unit.serial, None)
    except ValueError as error:  # InvalidRegistrationID is one
        raise CommandError(f"serials {text!r}: {error}") from None
    return found
