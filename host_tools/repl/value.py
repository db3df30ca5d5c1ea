"""A plain value that a board printed as its repr(), read without trust in the board."""

import ast
import warnings

from host_tools.repl.errors import ReplError

# deep nesting ends in the one or the other, as does a number that is no number
_TROUBLE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, OverflowError)


def plain(printed: str, refusal: str) -> object:
    """Return the value; ReplError with the text refusal if it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an escape in it that Python has a word about
            return ast.literal_eval(printed)
    except _TROUBLE:
        raise ReplError(refusal) from None
