"""Address: where a cloud is reached over HTTPS."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Address:
    """One cloud's addresses, for people and for programs."""

    url: str
    host: str  # with the port, as a connection string has it
    portal: str  # what to open in a browser; a secret where it has a token
    control: Path  # the file with the control token
