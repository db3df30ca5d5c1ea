"""TLS of one connection, without a socket: bytes in, bytes out, on either side of it.

Owns the record layer's state. Doesn't own the certificates (certificates.py) nor when bytes go
(listener.py). asyncio's own TLS would do, but tells nobody why a hand-shake failed.
"""

import ssl
from collections.abc import Callable
from contextlib import suppress

_RECORD = 16 * 1024  # bytes, the largest there is


class TlsError(Exception):
    """The other side does not speak TLS as we do; the text says what OpenSSL says."""


class TlsServer:
    """The server's end of one TLS connection."""

    def __init__(
        self,
        context: ssl.SSLContext,
        choose: Callable[[str], ssl.SSLContext | None] | None = None,
    ) -> None:
        """choose: returns the context for the name that is dialled, "" for none, once it is known.

        It may return None: then the client never hears a word.
        """
        self.established = False  # the hand-shake is through
        self.ended = False  # the client said that nothing more comes
        self._incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()  # bytes that are to go to the network
        self._tls = context.wrap_bio(self._incoming, self.outgoing, server_side=True)
        self._choose = choose
        self._hello = b""  # what came while the name is not known

    @property
    def terms(self) -> str:
        """Return what was agreed on, e.g. "TLSv1.3, TLS_AES_256_GCM_SHA384"."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()}, {cipher[0] if cipher else 'no cipher'}"

    def receive(self, data: bytes | memoryview) -> bytes:
        """Take bytes from the network; return what they mean. Raises TlsError."""
        if self._choose:
            data = self._chosen(self._choose, data)
            if not data:
                return b""
        self._incoming.write(data)
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            if not self._incoming.pending:
                return b""
            plain = self._tls.read(_RECORD)
            self.ended = not plain
            # one record, as nearly always
            return plain + self._read() if self._incoming.pending else plain
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise TlsError((error.reason or str(error)).lower().replace("_", " ")) from None

    # one object more for each connection, but only where somebody wants to choose
    def _chosen(
        self, choose: Callable[[str], ssl.SSLContext | None], data: bytes | memoryview
    ) -> bytes:
        self._hello += data
        name = server_name(self._hello)
        if name is None:
            return b""
        context = choose(name)
        if context is None:
            self._hello = b""
            self._choose = lambda name: None
            return b""
        self._choose = None
        self._tls = context.wrap_bio(self._incoming, self.outgoing, server_side=True)
        return self._hello

    def _read(self) -> bytes:
        read = []
        try:
            # one record each; asking once too often costs a raise
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
            with suppress(ssl.SSLError):  # it would like to wait for the client to say so too
                self._tls.unwrap()

    def take(self) -> bytes:
        """Return the bytes that are to go to the network."""
        return self.outgoing.read()


def server_name(hello: bytes) -> str | None:
    """Return whom a ClientHello is for, "" if it does not say; None if it is not whole yet.

    OpenSSL takes it apart. What is no ClientHello is for nobody: the hand-shake will tell.
    """
    names: list[str] = []

    def named(_: object, name: str | None, __: object) -> int:
        names.append(name or "")
        return ssl.ALERT_DESCRIPTION_USER_CANCELLED

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = named
    incoming = ssl.MemoryBIO()
    incoming.write(hello)
    try:
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLError:
        return names[0] if names else ""
    return ""
