"""From a table's rows to units: which column is what, and every row checked against all others.

Owns what makes a row bad. Doesn't own the text's form (table) nor the rule of registration IDs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from host_tools.batch.faults import BadRow
from host_tools.batch.table import Table
from host_tools.batch.unit import Unit, check_serial
from host_tools.errors import CommandError
from host_tools.id_list import ensure
from keystead.registration_id import InvalidRegistrationID, parse_mac

_SERIAL, _MAC, _ID = "serial", "mac", "registration_id"
# as columns are called, in small letters and without blanks, dashes and underscores
_NAMES = {
    "serial": _SERIAL, "serialnumber": _SERIAL, "serialno": _SERIAL, "sn": _SERIAL,
    "mac": _MAC, "macaddress": _MAC,
    "registrationid": _ID,
}  # fmt: skip
_PLAIN = {ord(character): None for character in " _-"}
_ANY_MAC = bytes.fromhex("020000000001")  # stands in where the board will bring its own


@dataclass(frozen=True)
class Rule:
    """How registration IDs are made, and which are allowed."""

    template: str
    wide: bool

    def __post_init__(self) -> None:
        left = self.template.replace("{serial}", "").replace("{mac}", "")
        if "{" in left or "}" in left:
            raise CommandError(
                f"template {self.template!r}: only {{serial}} and {{mac}} are filled in"
            )

    def name(self, serial: str, mac: bytes | None) -> str | None:
        """Return a registration ID, None where it waits for a MAC; InvalidRegistrationID."""
        waits = mac is None and "{mac}" in self.template
        text = self.template.replace("{serial}", serial)
        name = text.replace("{mac}", (mac or _ANY_MAC).hex("-"))
        try:
            ensure(name, self.wide)
        except InvalidRegistrationID as error:
            raise InvalidRegistrationID(str(error).replace(name, text)) from None
        return None if waits else name


@dataclass(frozen=True)
class Columns:
    """What is known of a list's columns beforehand.

    serial: what it calls the serials, if otherwise than usual; apart: what is not kept with a
    unit, as it is not for the ledger; same: of these, what one row says for all; other: which
    column has the serials if none is called so.
    """

    serial: str | None = None
    apart: frozenset[str] = frozenset()
    same: frozenset[str] = frozenset()
    other: str | None = None


def units(
    table: Table, where: str, rule: Rule, faults: list[BadRow], columns: Columns
) -> Iterator[tuple[Unit, str | None]]:
    """Give the units of the rows that are right, and their registration IDs where they are known.

    The other rows go to faults. CommandError if the head names no boards.
    """
    places = _places(table.head, where, rule, columns)
    _refuse_doubled(table.head, where, columns)
    used = set(places.values()) | {n for n, name in enumerate(table.head) if name in columns.apart}
    extra = [(n, name) for n, name in enumerate(table.head) if n not in used and name]
    for line, row in table.rows:
        if len(row) != len(table.head):
            faults.append(BadRow(line, f"has {len(row)} fields, the head has {len(table.head)}"))
            continue
        fields = {what: row[place].strip() for what, place in places.items()}
        kept = {name: row[place] for place, name in extra}
        try:
            yield _unit(fields, kept, line, rule)
        except ValueError as error:  # InvalidRegistrationID is one
            faults.append(BadRow(line, str(error)))


# in mfg_gen a key of two namespaces has two columns of one name, which listing leaves apart
def _refuse_doubled(head: Sequence[str], where: str, columns: Columns) -> None:
    seen: dict[str, int] = {}
    for place, name in enumerate(head, 1):
        if name and name not in columns.apart and seen.setdefault(name, place) != place:
            raise CommandError(
                f"{where}: columns {seen[name]} and {place} are both called {name}: rename one"
            )


def _places(head: Sequence[str], where: str, rule: Rule, columns: Columns) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, name in enumerate(head):
        what = _meaning(name, columns)
        if what is None:
            continue
        if what in found:
            raise CommandError(f"{where}: two columns are a {what}: {head[found[what]]}, {name}")
        found[what] = place
    if _SERIAL not in found and columns.other in head:
        found[_SERIAL] = head.index(columns.other or "")
    enough = (
        _SERIAL in found or _ID in found or (_MAC in found and "{serial}" not in rule.template)
    )
    if not enough or (columns.serial and _SERIAL not in found):
        raise CommandError(
            f"{where}: its first line must name a column {columns.serial or 'serial'} or "
            f"registration_id (mac besides, if boards are known); it has: {', '.join(head)}"
        )
    return found


def _meaning(name: str, columns: Columns) -> str | None:
    if columns.serial is not None and name.lower() == columns.serial.strip().lower():
        return _SERIAL
    what = None if name in columns.same else _NAMES.get(name.lower().translate(_PLAIN))
    return None if what == _SERIAL and columns.serial is not None else what


def _unit(
    fields: Mapping[str, str], extra: Mapping[str, str], line: int, rule: Rule
) -> tuple[Unit, str | None]:
    mac = _mac(fields.get(_MAC, ""))
    given = fields.get(_ID) or None
    if given is None and _ID in fields and _SERIAL not in fields:
        raise ValueError("the registration ID is empty")
    serial = check_serial(fields.get(_SERIAL, given or (mac.hex() if mac else "")), given)
    name = ensure(given, rule.wide) if given else rule.name(serial, mac)
    return Unit(serial, mac, given, extra, line), name


def _mac(text: str) -> bytes | None:
    if not text:
        return None
    mac = parse_mac(text)
    if mac in (bytes(6), b"\xff" * 6):  # a group address would be odd too, but articles use one
        raise ValueError(f"MAC {text!r} is no board's")
    return mac


def unique(found: Iterable[tuple[Unit, str | None]], faults: list[BadRow]) -> list[Unit]:
    """Return the units; one whose serial, MAC or ID an earlier one has goes to faults."""
    serials: dict[object, int] = {}
    macs: dict[object, int] = {}
    names: dict[object, int] = {}
    good = []
    for unit, name in found:
        line = unit.line
        if (first := serials.setdefault(unit.serial, line)) != line:
            faults.append(BadRow(line, f"serial {unit.serial} is on line {first} already"))
        elif unit.mac and (first := macs.setdefault(unit.mac, line)) != line:
            text = unit.mac.hex(":")
            faults.append(BadRow(line, f"MAC {text} is on line {first} already"))
        elif name and (first := names.setdefault(name, line)) != line:
            faults.append(BadRow(line, f"registration ID {name} is on line {first} already"))
        else:
            good.append(unit)
    return good
