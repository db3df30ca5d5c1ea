"""Proof: has this very board the key that was derived for it?

Owns the nonce and the judgement of the board's answer. The formula is keystead.proof's, which the
board runs as well; the key stays on the board, and here in memory.
"""

import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from host_tools.flash.failure import FlashFailure
from keystead import proof
from keystead.failure import printable
from keystead.record import FactoryRecord

_NONCE = 32  # bytes
_LONGEST = 2048  # characters of an answer that are looked at


def nonce() -> str:
    """Return a nonce that was never used before, in hex."""
    return secrets.token_hex(_NONCE)


@dataclass(frozen=True)
class Challenge:
    """What is asked, and the record that the board should have."""

    nonce: str
    record: FactoryRecord

    def check(self, answer: str) -> None:
        """Judge the line that the board printed; FlashFailure proof-absent or proof-wrong."""
        told = _parse(answer)
        for name, value in proof.claims(self.record, bytes.fromhex(self.nonce)).items():
            found = _text(told.get(name))
            if hmac.compare_digest(found.encode("utf-8", "backslashreplace"), value.encode()):
                continue
            if name == "proof":
                raise FlashFailure("proof-wrong", "the board signed the nonce with another key")
            said = printable(found) or "not told"
            raise FlashFailure("proof-wrong", f"the board's {name} is {said}, not {value}")


def _parse(answer: str) -> dict[str, Any]:
    try:
        told = json.loads(answer[:_LONGEST])
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise FlashFailure("proof-absent", f"the board answered {printable(answer)!r}")
    return told


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
