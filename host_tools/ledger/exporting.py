"""Exporting: the boards of a ledger as other programs want them; no secret is among them.

Owns the columns. CSV has names with underscores, in the order of COLUMNS, then the columns that
the batch's list had besides; free text that a spreadsheet would take for a formula gets an
apostrophe. JSON has the names of DPS's API.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from host_tools.batch import Batch
from host_tools.ledger.cells import cell
from host_tools.ledger.ledger import Ledger
from host_tools.ledger.model import Event, Made
from keystead.registration_id import format_mac

# column of the CSV, name in JSON
COLUMNS = {
    "registration_id": "registrationId",
    "serial": "serial",
    "mac": "mac",
    "batch": "batch",
    "board": "board",
    "chip": "chip",
    "id_scope": "idScope",
    "state": "state",
    "reason": "reason",
    "attempts": "attempts",
    "fingerprint": "fingerprint",
    "reserved": "reserved",
    "updated": "updated",
}
FORMATS = ("csv", "json", "events")


def export(ledger: Ledger, form: str, batch: str | None, state: str | None, output: TextIO) -> int:
    """Write boards (csv, json) or, line by line, the events (events); return how many."""
    if form == "events":
        return _lines((event_json(event) for event in ledger.events()), output)
    batches = {one.name: one for one in ledger.batches()}
    made = ledger.made(batch, state)
    if form == "csv":
        extras = _extras(ledger, [batch] if batch is not None else list(batches))
        return _csv(((one, _values(one, batches)) for one in made), extras, output)
    return _array((_document(one, batches) for one in made), output)


def event_json(event: Event) -> dict[str, Any]:
    """Return an event in JSON's names; enough to check its hash anywhere."""
    return {
        "number": event.number,
        "at": event.at,
        "station": event.station,
        "kind": event.kind,
        "registrationId": event.registration_id,
        "facts": dict(event.facts),
        "previous": event.previous,
        "hash": event.hash,
    }


def _values(made: Made, batches: dict[str, Batch]) -> list[Any]:
    one, batch = made.identity, batches[made.identity.batch]
    return [
        one.registration_id,
        one.serial,
        format_mac(one.mac, ":"),
        one.batch,
        batch.board,
        one.chip,
        batch.id_scope,
        one.state,
        one.reason,
        one.attempt,
        one.fingerprint,
        made.reserved,
        one.updated,
    ]


def _document(made: Made, batches: dict[str, Batch]) -> dict[str, Any]:
    named = dict(zip(COLUMNS.values(), _values(made, batches), strict=True))
    return {**named, "extra": dict(made.extra)}


# the lists' own columns, in the order in which they first come
def _extras(ledger: Ledger, batches: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for batch in batches:
        for unit in ledger.units(batch):
            found.update(dict.fromkeys(unit.extra))
    return [name for name in found if name not in COLUMNS]


def _csv(rows: Iterator[tuple[Made, list[Any]]], extras: list[str], output: TextIO) -> int:
    writer, count = csv.writer(output, lineterminator="\n"), 0
    writer.writerow([*COLUMNS, *map(cell, extras)])
    reason = list(COLUMNS).index("reason")
    for made, values in rows:
        values[reason] = cell(values[reason])
        writer.writerow([*values, *(cell(made.extra.get(name, "")) for name in extras)])
        count += 1
    return count


def _lines(documents: Iterable[dict[str, Any]], output: TextIO) -> int:
    count = 0
    for document in documents:
        output.write(json.dumps(document) + "\n")
        count += 1
    return count


def _array(documents: Iterable[dict[str, Any]], output: TextIO) -> int:
    count = 0
    for document in documents:
        output.write(("[\n" if count == 0 else ",\n") + json.dumps(document))
        count += 1
    output.write("\n]\n" if count else "[]\n")
    return count
