"""A batch and its units: what a factory order says of each board before it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keystead.record import ENDPOINT
from keystead.registration_id import TEMPLATE, check, render

LONGEST = 128  # characters of a serial
_FORMULA = tuple("=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
                 "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """One board to be made.

    mac: six bytes, None if whichever board is next may have this serial; registration_id: None if
    the batch's template makes it; extra: further columns as they stood; line: in the file, from 1.
    """

    serial: str
    mac: bytes | None = None
    registration_id: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


def check_serial(serial: str, registration_id: str | None = None) -> str:
    """Return a serial if it can be one, else raise ValueError.

    registration_id: the unit's own if it has one, which may be its serial too: the rule of
    registration IDs leaves nothing dangerous.
    """
    if not serial:
        raise ValueError("the serial is empty")
    if len(serial) > LONGEST:
        raise ValueError(f"the serial has {len(serial)} characters, at most {LONGEST} are allowed")
    if not serial.isprintable():
        raise ValueError(f"the serial {serial!r} has a character that can not be printed")
    if "{" in serial or "}" in serial:
        raise ValueError(f"the serial {serial!r} has braces, as a template's places have")
    if serial.startswith(_FORMULA) and serial != registration_id:
        raise ValueError(f"the serial {serial!r} begins as a spreadsheet's formula does")
    return serial


@dataclass(frozen=True)
class Batch:
    """Boards of one kind for one DPS instance.

    board: a name of boards/, e.g. "ESP32_GENERIC_C3"; wide: whether registration IDs may use all
    that DPS takes, or the seed's safe part; note: a line for people.
    """

    name: str
    board: str
    id_scope: str
    template: str = TEMPLATE
    endpoint: str = ENDPOINT
    wide: bool = False
    note: str = ""

    def registration_id(self, unit: Unit, mac: bytes) -> str:
        """Return what a unit is called once its MAC is known; InvalidRegistrationID."""
        if unit.registration_id is not None:
            return check(unit.registration_id, self.wide)
        return render(self.template, unit.serial, mac, self.wide)
