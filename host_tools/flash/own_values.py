"""A board's own values: what of mfg_gen's CSVs goes into its NVS, beside its factory record.

Owns which row is a board's: its serial's, read as `keystead batch create` reads it; what the row
says of MAC and registration ID must be so. Values may be secrets: they are in memory only, the
ledger has their number. Doesn't own the CSVs (batch.mfg_gen) nor the partition (images.parts).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import host_tools.nvs.page as page
from host_tools import batch
from host_tools.batch import Batch, Unit, mfg_gen
from host_tools.batch.mfg_gen import Column, Device
from host_tools.errors import CommandError
from host_tools.flash.failure import FlashFailure
from host_tools.images.parts import NAMESPACE
from host_tools.ledger import Event, Identity
from host_tools.nvs import Entry

FACT = "values"  # of an attempt in the ledger: how many there were


class OwnValues:
    """The values of many boards, by serial; where: the file that they are from."""

    def __init__(self, rows: Iterable[tuple[Unit, Device]], where: str) -> None:
        self._rows = {unit.serial: (unit, device) for unit, device in rows}
        self._where = where

    def of(self, identity: Identity) -> Sequence[Entry]:
        """Return a board's entries; FlashFailure values-absent."""
        if identity.serial not in self._rows:
            raise _absent(f"{self._where} has no row for serial {identity.serial}")
        unit, device = self._rows[identity.serial]
        said = f"{self._where}: line {unit.line}: serial {unit.serial} is"
        if unit.mac not in (None, identity.mac):
            raise _absent(f"{said} of another board's MAC than {identity.mac.hex(':')}")
        if unit.registration_id not in (None, identity.registration_id):
            raise _absent(
                f"{said} {unit.registration_id}, the ledger has it as {identity.registration_id}"
            )
        return device.entries


class NoValues:
    """None for any board; but one that had some at its last attempt is not to lose them so."""

    def __init__(self, events: Callable[[str], Iterable[Event]], replace: bool) -> None:
        """events: those of a board, by registration ID; replace: it may lose them."""
        self._events, self._replace = events, replace

    def of(self, identity: Identity) -> Sequence[Entry]:
        """Return nothing; FlashFailure values-absent."""
        name = identity.registration_id
        if identity.attempt and not self._replace:
            attempts = [event for event in self._events(name) if event.kind == "flashing"]
            if attempts and FACT in attempts[-1].facts:
                raise _absent(f"{name} has values of its own beside its record, which would go")
        return ()


def _absent(what: str) -> FlashFailure:
    return FlashFailure("values-absent", what)


def read(
    columns: Sequence[Column], values: Path, serial: str | None, order: Batch, nvs_size: int
) -> OwnValues:
    """Return the values in a file, all rows checked.

    serial: what it calls the serials, if otherwise than usual; nvs_size: of the partition, bytes,
    of which a page is left to the factory record and what the firmware keeps. Raises BadRows with
    every bad row, CommandError.
    """
    own = [column.key for column in columns if column.namespace == NAMESPACE]
    if own:
        raise CommandError(
            f"key {own[0]!r} is in namespace {NAMESPACE!r}, which is the firmware's: take another"
        )
    devices = mfg_gen.read_values(values, columns, nvs_size - page.SIZE)
    known = mfg_gen.listed(columns, serial)
    units = batch.units_from_csv(values, order.template, order.wide, known)
    by_line = {device.line: device for device in devices}
    return OwnValues([(unit, by_line[unit.line]) for unit in units], str(values))
