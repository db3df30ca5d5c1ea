"""The proof of possession: a board shows that it holds its device key, and keeps the key.

Owns what is signed and what is told, on both sides of the serial line. No service takes such a
signature: what they have signed holds no blank, neither a SAS token's text, which is percent-
encoded, nor a registration ID.
"""

import binascii

from keystead.record import FactoryRecord
from keystead.sas import hmac_sha256

_SIGNED = b"keystead proof of possession "  # and the nonce


def proof(key: bytes, nonce: bytes) -> str:
    """Return the proof that key is there, 64 hex digits, for a nonce that was never used."""
    return binascii.hexlify(hmac_sha256(key, _SIGNED + nonce)).decode()


def claims(record: FactoryRecord, nonce: bytes) -> dict[str, str]:
    """Return what a board with this record says of itself; the host compares with its own.

    MAC as a1:b2:..., CRC of the record and proof in hex digits.
    """
    return {
        "mac": binascii.hexlify(record.mac, ":").decode(),
        "registrationId": record.registration_id,
        "crc": "%08x" % record.crc(),
        "proof": proof(record.keys()[0], nonce),
    }
