"""A serial line that counts what goes over it."""

from typing import Any

from host_tools.flash.chip import Traffic


class Counted:
    """Passes everything on to a serial.SerialBase."""

    def __init__(self, line: Any) -> None:
        object.__setattr__(self, "_line", line)
        object.__setattr__(self, "_counts", [0, 0])

    @property
    def traffic(self) -> Traffic:
        """Return the bytes sent and received so far."""
        return Traffic(*self._counts)

    def read(self, size: int = 1) -> bytes:
        """Read as the line does."""
        data: bytes = self._line.read(size)
        self._counts[1] += len(data)
        return data

    def write(self, data: bytes) -> int | None:
        """Write as the line does."""
        self._counts[0] += len(data)
        written: int | None = self._line.write(data)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._line, name, value)
