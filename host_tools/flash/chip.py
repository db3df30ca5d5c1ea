"""What a port shows of the board on it, and what of that speaks against flashing it."""

from dataclasses import dataclass

from host_tools.flash.failure import FlashFailure


@dataclass(frozen=True)
class Chip:
    """A chip in its ROM loader.

    name: as boards/ spells it, e.g. "esp32c3"; mac: six bytes, none if it may not be read;
    flash_size: bytes, 0 if the flash chip does not tell; secured: what its eFuses have on, in
    words; description: esptool's words, with the revision; baud: the line's speed from now on,
    bits/s; esptool: its version.
    """

    name: str
    mac: bytes
    flash_size: int
    secured: tuple[str, ...] = ()
    description: str = ""
    baud: int = 115_200
    esptool: str = ""

    def check(self, wanted: str, board: str) -> None:
        """Refuse what can not become this board; FlashFailure. Nothing was written yet."""
        if self.name != wanted:
            raise FlashFailure(
                "wrong-chip", f"an {self.name} is on this port, the batch is of {board} ({wanted})"
            )
        if self.secured:
            raise FlashFailure("secured", f"this chip has {' and '.join(self.secured)}")
        if not self.flash_size:
            raise FlashFailure("flash-unknown", "the flash chip does not tell its size")


@dataclass(frozen=True)
class Traffic:
    """Bytes that went over a port's line, as they were counted at it."""

    sent: int = 0
    received: int = 0

    def facts(self) -> dict[str, int]:
        """Return them for the ledger."""
        return {"sent": self.sent, "received": self.received}

    def since(self, earlier: "Traffic") -> "Traffic":
        """Return what came after an earlier count."""
        return Traffic(self.sent - earlier.sent, self.received - earlier.received)
