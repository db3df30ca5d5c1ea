"""The machines MicroPython is fetched for: how Debian names them and starts their programs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Architecture:
    """One of Debian's architectures, unpacked into a folder of its own."""

    name: str
    bits: int
    loader: str
    libraries: str

    def command(self, folder: Path) -> list[str]:
        """Return the words that start the MicroPython unpacked under `folder`."""
        root = self.root(folder)
        loader, libraries = root / self.loader, root / self.libraries
        program = root / "usr/bin/micropython"
        return [str(loader), "--library-path", str(libraries), str(program)]

    def root(self, folder: Path) -> Path:
        """Return the folder under `folder` that this architecture's packages go to."""
        return folder / f"root-{self.name}"


AMD64 = Architecture("amd64", 64, "usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu")
ARM64 = Architecture("arm64", 64, "usr/lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu")
I386 = Architecture("i386", 32, "usr/lib/ld-linux.so.2", "usr/lib/i386-linux-gnu")

# what a machine runs natively; an ARM board's 32-bit mode is too often switched off to count on
RUNS = {"amd64": (AMD64, I386), "arm64": (ARM64,)}
ALL = (AMD64, ARM64, I386)
