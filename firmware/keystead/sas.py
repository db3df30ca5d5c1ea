"""SAS tokens: the signatures by which a device proves who it is.

Owns HMAC-SHA256 and the token's text. Keys come as bytes and the expiry as a
number: nothing here reads a clock, and nothing here derives one key from another.
Source: "Control access to Azure IoT Hub by using shared access signatures" and the DPS page
"Symmetric key attestation".
"""

import binascii
import hashlib

from keystead.percent import quote

_BLOCK = 64  # bytes SHA-256 works on at a time (RFC 2104's B)
_INNER = b"\x36" * _BLOCK
_OUTER = b"\x5c" * _BLOCK


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return the 32-byte HMAC of message (RFC 2104); a key of any length will do."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    block = bytearray(_INNER)
    inner = _keyed(block, key, message)
    block[:] = _OUTER
    return _keyed(block, key, inner)


def _keyed(block: bytearray, key: bytes, message: bytes) -> bytes:
    for i in range(len(key)):
        block[i] ^= key[i]
    digest = hashlib.sha256(block)
    digest.update(message)
    return digest.digest()


def sign(key: bytes, text: str) -> str:
    """Return the Base64 HMAC-SHA256 of text's UTF-8 bytes."""
    return binascii.b2a_base64(hmac_sha256(key, text.encode()), newline=False).decode()


# SharedAccessSignature sr={quoted resource}&sig={quoted Base64}&se={Unix time}[&skn={policy}]
# where sig signs "{quoted resource}\n{Unix time}", the resource exactly as it stands in sr
def sas_token(resource: str, key: bytes, expiry: int, policy: str = "") -> str:
    """Return the SAS token for resource, valid until expiry (seconds since 1970, UTC).

    DPS: resource "{ID scope}/registrations/{registration ID}", policy "registration".
    Hub: resource "{hub host}/devices/{device ID}", no policy.
    """
    resource = quote(resource)
    expires = str(expiry)
    signature = sign(key, "\n".join((resource, expires)))
    # Base64 has three characters to quote
    signature = signature.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    # join() makes its text in one piece; "%" and "+" leave two or three behind
    skn = "&skn=" if policy else ""
    return "".join(
        ("SharedAccessSignature sr=", resource, "&sig=", signature, "&se=", expires, skn, policy)
    )
