"""The machine that the set-up runs on: can it be helped, and under what name."""

import platform
import sys
from dataclasses import dataclass

from host_tools.errors import CommandError

OLDEST_DEBIAN = 12
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Host:
    """A machine, in Debian's words; what it is not has an empty name."""

    system: str
    distribution: str
    version: str
    codename: str
    architecture: str

    def debian(self) -> bool:
        """Tell whether Debian's packages can be unpacked and run here."""
        old = self.version.isdigit() and int(self.version) < OLDEST_DEBIAN
        return self.distribution == "debian" and bool(self.architecture) and not old

    def advice(self) -> str:
        """Say how to get MicroPython where the set-up can not fetch it."""
        if self.system == "Darwin":
            return "Unix MicroPython is missing: run `brew install micropython`, then try again"
        return (
            "Unix MicroPython can be fetched on Debian 12 or 13 (amd64, arm64) only; this is "
            f"{self}: put MicroPython 1.24 or later on PATH, or name it in $MICROPYTHON"
        )

    def __str__(self) -> str:
        """Return what to call the machine in a sentence."""
        names = (self.distribution or self.system, self.version, self.architecture)
        return " ".join(name for name in names if name)


def this() -> Host:
    """Return the machine this runs on; refuse what nothing here could run on."""
    system = platform.system()
    if system not in ("Linux", "Darwin"):
        raise CommandError(f"Keystead's tools run on Linux and macOS; this is {system}")
    release = _release() if system == "Linux" else {}
    native = _ARCHITECTURES.get(platform.machine(), "") if sys.maxsize > 2**32 else ""
    return Host(
        system=system,
        distribution=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        architecture=native,
    )


def _release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
