"""The proof of possession, asked for at the REPL: `from rim.proof import prove; prove("00ff")`.

Owns the one line that answers. The key is loaded, used and let go of.
"""

import binascii
import json

import machine

from keystead.proof import claims
from keystead.record import unpack
from rim import flash


def prove(nonce: str) -> None:
    """Print one line of JSON; nonce: hex digits. Raises Failure if there is no sound record."""
    record = unpack(flash.load_record(), machine.unique_id())
    print(json.dumps(claims(record, binascii.unhexlify(nonce))))
