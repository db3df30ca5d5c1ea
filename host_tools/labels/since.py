"""Since: the boards that have become what they are after a moment, as for labels of a shift's."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from host_tools.errors import CommandError
from host_tools.ledger import Identity, Ledger
from host_tools.ledger.chain import moment

_AGO = re.compile(r"([0-9]{1,4})([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


def parse(text: str, now: float) -> str:
    """Return a moment as the ledger writes it; CommandError.

    text: 90m, 8h or 2d before now (Unix time), or ISO 8601, local time unless it says otherwise.
    """
    if match := _AGO.fullmatch(text):
        return moment(now - int(match[1]) * _SECONDS[match[2]])
    try:
        return moment(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):  # no date, or one of no calendar
        raise CommandError(
            f"--since {text[:40]!r}: write 90m, 8h or 2d, or a time as 2026-11-22T06:00"
        ) from None


def those(ledger: Ledger, boards: Iterable[Identity], begin: str) -> Iterator[Identity]:
    """Give the boards that came to the state they are in at begin or later."""
    for one in boards:
        # the last event may be a scan at packing: it is only never before the one that is meant
        if one.updated >= begin and any(
            event.kind == one.state and event.at >= begin
            for event in ledger.events(one.registration_id)
        ):
            yield one
