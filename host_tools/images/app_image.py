"""The header of an ESP32 image, and the description (esp_app_desc_t) that an application carries."""

from dataclasses import dataclass

from host_tools.boards import Board
from host_tools.images.partitions import Layout


@dataclass(frozen=True)
class Description:
    """What an application image says of itself: for the ledger.

    project: "micropython". version: e.g. "v1.26.1". idf: e.g. "v5.4.2". elf_sha256: 64 hex digits.
    """

    chip: str
    project: str
    version: str
    idf: str
    elf_sha256: str


def describe(image: bytes, board: Board, layout: Layout) -> Description:
    """Return what the application in a MicroPython image says of itself. Raises CommandError."""
    raise NotImplementedError
