"""SLIP: frames between C0 bytes, as ESP ROM loaders and their stubs speak it (RFC 1055)."""

END, ESCAPE = b"\xc0", b"\xdb"
_ESCAPED_END, _ESCAPED_ESCAPE = b"\xdb\xdc", b"\xdb\xdd"


def encode(frame: bytes) -> bytes:
    """Return a frame as it goes over the wire."""
    body = frame.replace(ESCAPE, _ESCAPED_ESCAPE).replace(END, _ESCAPED_END)
    return END + body + END


class Decoder:
    """Finds the frames in a stream; what is no frame is lost, as in the chip."""

    def __init__(self, longest: int):
        self._longest = longest  # bytes of a frame on the wire; longer ones are dropped
        self._open = False
        self._parts: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that data completes."""
        first, *rest = data.split(END)
        frames: list[bytes] = []
        self._collect(first)
        for part in rest:
            # an END closes what is open and opens what follows: one between two frames does both
            if self._open and self._length:
                frames += self._close()
            self._open, self._parts, self._length = True, [], 0
            self._collect(part)
        return frames

    def _collect(self, part: bytes) -> None:
        if self._open and part:
            self._length += len(part)
            if self._length <= self._longest:
                self._parts.append(part)

    def _close(self) -> list[bytes]:
        body = b"".join(self._parts)
        escapes = body.count(_ESCAPED_END) + body.count(_ESCAPED_ESCAPE)
        if self._length > self._longest or body.count(ESCAPE) != escapes:
            return []
        return [body.replace(_ESCAPED_END, END).replace(_ESCAPED_ESCAPE, ESCAPE)]
