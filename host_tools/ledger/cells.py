"""Cells: free text in a CSV that people open in a spreadsheet.

A spreadsheet takes a cell that begins like a formula for one, and a formula can call programs.
Source: OWASP, "CSV Injection".
"""

import re

_FORMULA = re.compile("[=+@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
                      "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}-]")  # fmt: skip
_NUMBER = re.compile("[+-]?[0-9]+([.,][0-9]+)?")


def cell(text: str) -> str:
    """Return free text as a spreadsheet shows it and does not run it: with an apostrophe ahead.

    Not for what a program is to read again, such as a registration ID or serial.
    """
    harmless = not _FORMULA.match(text) or _NUMBER.fullmatch(text)
    return text if harmless else f"'{text}"
