"""Refusing: a board that was turned away before anything was written to it.

Owns what such an event says: it belongs to a batch always, and to an identity where the board has
one, which stays what it is. Doesn't own the reasons (host_tools.flash, host_tools.retrofit).
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

import host_tools.ledger.rules as rules
import host_tools.ledger.tables as tables
from host_tools.ledger.appending import Writer
from host_tools.ledger.errors import LedgerError
from host_tools.ledger.model import Event
from host_tools.ledger.reserving import batch_row
from keystead.registration_id import format_mac, parse_mac

_IDENTITY = tables.identity.c


def refuse(writer: Writer, batch: str, mac: bytes, facts: Mapping[str, Any]) -> Event:
    """Append a refusal; facts: fit already, made by about()."""
    batch_row(writer.connection, batch)
    wanted = select(_IDENTITY.registration_id).where(_IDENTITY.mac == mac.hex())
    name = writer.connection.execute(wanted).scalar_one_or_none()
    if name is None:
        return writer.event(rules.REFUSED, None, facts)
    return writer.of_board(name, rules.REFUSED, dict(facts))


def about(batch: str, mac: bytes, chip: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a refusal's facts; LedgerError. mac: b"" of a chip that does not tell it."""
    if len(mac) not in (0, 6):
        raise LedgerError(f"{mac.hex()} is no board's MAC: six bytes, or none if it is not told")
    shown = format_mac(mac, ":") if mac else None
    return {**facts, "batch": batch, "mac": shown, "chip": chip}


def check(facts: Mapping[str, Any], batches: Mapping[str, Any]) -> None:
    """Raise ValueError or KeyError if an event that was read is no refusal."""
    if facts["batch"] not in batches:
        raise ValueError(f"there was no batch {facts['batch']}")
    if facts["mac"] is not None:
        parse_mac(facts["mac"])
