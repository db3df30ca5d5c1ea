"""The certificate authorities that Azure's end points chain to, as DER.

Owns their fingerprints. The certificates come from the certifi package at build time, so that
what is pinned is checked against what the world trusts.
Source: "Azure IoT TLS: critical changes", and the roots in azure-iot-sdk-c's certs.c.
"""

import hashlib
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import certifi

from host_tools.errors import CommandError

# file name -> SHA-256 of the DER
AZURE = {
    # signs today's hubs and DPS, to 2038
    "digicert-global-root-g2": "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f",
    # the documented stand-by, to 2042
    "microsoft-rsa-root-2017": "c741f70f4b2a8d88bf2e71c14122ef53ef10eba0cfa5e64cfa20f418853073e0",
}
_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def azure() -> dict[str, bytes]:
    """Return Azure's roots by file name. CommandError if certifi has dropped one."""
    known = {hashlib.sha256(der).hexdigest(): der for der in _ders(Path(certifi.where()))}
    for name, fingerprint in AZURE.items():
        if fingerprint not in known:
            raise CommandError(f"certifi no longer has {name}: give the roots with --ca")
    return {name: known[fingerprint] for name, fingerprint in AZURE.items()}


def from_file(pem: Path) -> dict[str, bytes]:
    """Return the certificates of a PEM file by file name."""
    try:
        ders = list(_ders(pem))
    except (OSError, ValueError) as error:
        raise CommandError(f"can not read certificates from {pem}: {error}") from None
    if not ders:
        raise CommandError(f"{pem} holds no PEM certificate")
    return {f"root-{number}": der for number, der in enumerate(ders, 1)}


def _ders(pem: Path) -> Iterator[bytes]:
    for text in _PEM.findall(pem.read_text(encoding="ascii", errors="replace")):
        yield ssl.PEM_cert_to_DER_cert(text)
