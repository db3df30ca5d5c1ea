"""A board whose chip is a process: the real firmware on the Unix port of MicroPython.

Owns the folder that plays the chip (flash, NVS, wiring) and the process. The firmware in it is
the very files a real board gets; what the Unix port lacks is in stand_ins.
"""

import asyncio
import json
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from host_tools import firmware
from host_tools.errors import CommandError
from host_tools.toolchain import micropython

_STAND_INS = Path(__file__).parent / "stand_ins"


@contextmanager
def chip_folder() -> Iterator[Path]:
    """Lend a folder for one board; in memory where the system has such a place.

    Its NVS holds a device key: even a command that is killed must not leave it on a disk.
    """
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="keystead-", dir=place) as folder:
        yield Path(folder)


@dataclass
class UnixBoard:
    """One board in a folder of its own.

    heap: bytes, or with k or m behind, as MicroPython's -X heapsize takes it; "" for what an
    ESP32 starts with, 64k, or twice that where 64 bit makes every object twice as large.
    hosts: what its DNS says, name to (address, port), "*" for any other name, None for a name
    that does not exist. speed: how many times faster than the host's its time runs.
    """

    folder: Path
    mac: bytes
    bits: int = 32
    heap: str = ""
    epoch: int = 2000
    # answer after answer, the last for ever: seconds NTP is wrong by, None if none comes
    ntp: Sequence[int | None] = (0,)
    wifi: Mapping[str, str] = field(default_factory=lambda: {"bench": "no secret"})
    hosts: Mapping[str, tuple[str, int] | None] = field(default_factory=dict)
    speed: int = 1
    bitten: bool = False  # whether the watchdog ended the last run

    def __post_init__(self) -> None:
        if micropython.stands_in(self.bits):
            self.bits = 64
        self.heap = self.heap or ("64k" if self.bits == 32 else "128k")
        if not re.fullmatch("[1-9][0-9]{0,8}[km]?", self.heap):
            raise CommandError(f"heap {self.heap!r}: write bytes, e.g. 65536, 64k or 1m")

    @property
    def flash(self) -> Path:
        """The root of the board's filesystem."""
        return self.folder / "flash"

    def install(self, roots: Mapping[str, bytes], app: Path | None = None) -> None:
        """Put the firmware into the flash, with these roots (name to DER) and this app.py."""
        firmware.build(self.flash, roots, umqtt=True)
        firmware.compile_folder(_STAND_INS, self.folder / "stand_ins")
        networks = [{"ssid": ssid, "password": word} for ssid, word in self.wifi.items()]
        (self.flash / "config.json").write_text(json.dumps({"wifi": networks}))
        if app:
            (self.flash / "app.py").write_bytes(app.read_bytes())

    def write_nvs(self, key: str, blob: bytes) -> None:
        """Put a blob into NVS, as the factory does."""
        namespace = self.folder / "nvs" / "keystead"
        namespace.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(namespace / f"{key}.blob", "wb", opener=_private) as file:
            file.write(blob)

    def command(self) -> list[str]:
        """Return the words that power the board on; run them in `flash` with `environment`."""
        heap = ["-X", f"heapsize={self.heap}"]
        return [*micropython.interpreter(self.bits), *heap, "-c", "import power_on"]

    def environment(self) -> dict[str, str]:
        """Write the chip file; return the environment that shows it to the stand-ins."""
        (self.folder / "nvs").mkdir(mode=0o700, exist_ok=True)
        chip = self.folder / "chip.json"
        chip.write_text(json.dumps(self._chip()))
        path = f"{self.folder / 'stand_ins'}:lib:.frozen:"
        return {"KEYSTEAD_CHIP": str(chip), "MICROPYPATH": path, "TZ": "UTC"}

    def _chip(self) -> dict[str, object]:
        return {
            "mac": self.mac.hex(),
            "epoch": self.epoch,
            "nvs": str(self.folder / "nvs"),
            "speed": self.speed,
            "bitten": self.bitten,
            "wifi": dict(self.wifi),
            "ntp": list(self.ntp),
            "hosts": self.hosts,
        }

    @asynccontextmanager
    async def powered(self) -> AsyncIterator[AsyncIterator[str]]:
        """Power the board on; give its serial console line by line; power it off at the end."""
        process = await asyncio.create_subprocess_exec(
            *self.command(),
            cwd=self.flash,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        try:
            yield _lines(process.stdout)
        finally:
            # not process.kill(): on a process that just ended it would steal the exit code
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            self.bitten = await process.wait() == -signal.SIGALRM


async def _lines(console: asyncio.StreamReader) -> AsyncIterator[str]:
    async for line in console:
        yield line.decode(errors="replace").rstrip("\r\n")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
