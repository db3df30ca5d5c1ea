"""TLS of one connection, the client's end, without a socket: bytes in, bytes out.

Owns the record layer's state, and which of the catalogue's reasons a bad certificate is. Doesn't
own when bytes go: that is line.py.
"""

import ssl
from contextlib import suppress
from pathlib import Path

from host_tools.errors import CommandError
from keystead.failure import Failure

_RECORD = 16 * 1024  # bytes, the largest there is
# OpenSSL's X509_V_ERR_...: what a certificate may be besides untrusted
_VERDICTS = {9: "tls-expired", 10: "tls-expired", 62: "tls-wrong-name", 64: "tls-wrong-name"}


def trusting(ca: Path) -> ssl.SSLContext:
    """Return a context that trusts the roots in a PEM file and nobody else; CommandError."""
    try:
        return ssl.create_default_context(cafile=str(ca))
    except OSError as error:  # ssl.SSLError is one, too
        why = "no certificate is in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise CommandError(
            f"can not use {ca} as the CA: {why}; name with --ca the file that"
            " `keystead cloud --ca-out FILE` wrote"
        ) from None


def failure(error: ssl.SSLError) -> Failure:
    """Return what a board would call it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(_VERDICTS.get(error.verify_code, "tls-untrusted"), error.verify_message)
    return Failure("tls-failed", (error.reason or str(error)).lower().replace("_", " "))


class TlsClient:
    """The client's end of one TLS connection."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        """host: who the certificate must be for; sent as SNI."""
        self.established = False  # the hand-shake is through
        self.ended = False  # the server said that nothing more comes
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def begin(self) -> bytes:
        """Return the first bytes for the network."""
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self.take()

    def hold(self, data: bytes | memoryview) -> None:
        """Take bytes from the network, and look at them later."""
        self._incoming.write(data)

    def receive(self, data: bytes | memoryview = b"") -> bytes:
        """Take bytes from the network; return what they mean. Raises Failure."""
        self.hold(data)
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise failure(error) from None

    def _read(self) -> bytes:
        read = []
        try:
            while self._incoming.pending and not self.ended:
                read.append(self._tls.read(_RECORD))
                self.ended = not read[-1]
        except ssl.SSLWantReadError:
            pass  # the last record is not whole yet
        return b"".join(read)

    def send(self, data: bytes) -> None:
        """Encrypt data; take() gives the bytes for the network."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]

    def end(self) -> None:
        """Say that nothing more comes."""
        if self.established:
            with suppress(ssl.SSLError):  # it would like to wait for the server to say so too
                self._tls.unwrap()

    def take(self) -> bytes:
        """Return the bytes that are to go to the network."""
        return self._outgoing.read()
