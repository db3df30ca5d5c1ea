"""Batches: which boards are to be made, from a range of serials or a CSV.

Owns reading and checking the list. Doesn't own what became of it: that is the ledger.
"""

from pathlib import Path
from typing import TextIO

from host_tools.batch.faults import BadRow, BadRows
from host_tools.batch.unit import Batch, Unit
from keystead.registration_id import TEMPLATE

__all__ = ["BadRow", "BadRows", "Batch", "Unit", "units_from_csv", "units_from_range"]


def units_from_csv(
    source: Path | TextIO, template: str = TEMPLATE, wide: bool = False
) -> list[Unit]:
    """Return the units of a CSV, in its order; BadRows with every fault, CommandError."""
    raise NotImplementedError


def units_from_range(text: str, template: str = TEMPLATE, wide: bool = False) -> list[Unit]:
    """Return the units of e.g. "sn-0001..sn-9999"; CommandError."""
    raise NotImplementedError
