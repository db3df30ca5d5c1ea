"""Strict JSON: what others sent, read as RFC 8259 has it, where Python's json would take more.

Owns what is taken for JSON: UTF-8, no NaN, no number beyond a float, nothing that could not be
written again. Doesn't own the complaint: who asks knows whose body it is.
"""

import json
import math
from typing import Any, NoReturn


def parse(body: bytes) -> Any:
    """Return the value in a body; raise ValueError."""
    text = body.decode("utf-8-sig")
    try:
        value = json.loads(text, parse_constant=refuse, parse_float=_finite)
        if "\\u" in text:  # half a pair of surrogates can be written, but not stored or sent on
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return value


def refuse(constant: str) -> NoReturn:
    """Raise ValueError for NaN and Infinity, as json's parse_constant."""
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
