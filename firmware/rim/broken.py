"""What broke a connection, told from what MicroPython raised.

Owns what mbedTLS's words and numbers mean. Loaded only when one broke.
"""

import errno

from keystead.failure import Failure


def named(error: Exception) -> Failure:
    """Return the Failure for an exception of the TLS object.

    ValueError: mbedTLS's words on a certificate it will not take. OSError: an errno, its
    negative, or mbedTLS's own negative code.
    """
    if isinstance(error, ValueError):
        return _untrusted(str(error))
    code = error.args[0]
    if code == errno.ENOMEM:
        return Failure("out-of-memory", "TLS", code)
    if code < -255:
        return Failure("tls-failed", str(error.args[-1]), code)
    return Failure("connection-lost", code=code)


def _untrusted(text: str) -> Failure:
    if "trusted CA" in text:
        return Failure("tls-untrusted", text)
    if "Name" in text:
        return Failure("tls-wrong-name", text)
    if "validity" in text:
        return Failure("tls-expired", text)
    return Failure("tls-failed", text)
