"""Roots: the certificate authorities this board trusts, as DER files in certs/.

Owns the folder. Files, not frozen constants: a root can be replaced in the field.
"""

import os

import tls

from keystead.failure import Failure

_FOLDER = "certs"


def context():
    """Return a tls.SSLContext that verifies servers against every root in certs/."""
    try:
        names = [name for name in os.listdir(_FOLDER) if name.endswith(".der")]
    except OSError:
        names = []
    if not names:
        raise Failure("roots-absent")
    tls_context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    tls_context.verify_mode = tls.CERT_REQUIRED  # type: ignore[attr-defined]  # the stubs lack it
    for name in names:
        with open(_FOLDER + "/" + name, "rb") as file:
            try:
                tls_context.load_verify_locations(file.read())
            except ValueError:
                raise Failure("roots-absent", name + " is not a certificate in DER")
    return tls_context
