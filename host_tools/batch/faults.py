"""What is wrong with a list of units: every bad row, with its line."""

from collections.abc import Sequence
from dataclasses import dataclass

from host_tools.errors import CommandError


@dataclass(frozen=True)
class BadRow:
    """One fault; line counts from 1 as editors do (the head of a CSV is line 1)."""

    line: int
    problem: str


class BadRows(CommandError):
    """Some rows are wrong, so nothing was done; `rows` has every one."""

    def __init__(self, where: str, rows: Sequence[BadRow]) -> None:
        first = rows[0]
        more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        super().__init__(f"{where}: line {first.line}: {first.problem}{more}")
        self.where = where
        self.rows = tuple(rows)
