"""A board whose chip is a process: the real firmware on the Unix port of MicroPython.

Owns the folder that plays the chip (flash, NVS, wiring) and the process. The firmware in it is
the very files a real board gets; what the Unix port lacks is in stand_ins.
"""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from host_tools import firmware, private_file
from host_tools.errors import CommandError
from host_tools.toolchain import micropython
from host_tools.virtual_board.held_folder import HeldFolder

_STAND_INS = Path(__file__).parent / "stand_ins"
_STAND_INS_HEAP = {32: 17 << 10, 64: 26 << 10}  # bytes they take; a test measures them
# what machine.reset_cause() says on an ESP32
_PWRON_RESET, _HARD_RESET, _WDT_RESET, _DEEPSLEEP_RESET, _SOFT_RESET = range(1, 6)


@contextmanager
def chip_folder() -> Iterator[Path]:
    """Lend a folder for one board; in memory where the system has such a place.

    Its NVS holds a device key: even a command that is killed must not leave it on a disk.
    """
    folder = HeldFolder()
    try:
        yield folder.path
    finally:
        folder.release()


@dataclass
class UnixBoard:
    """One board in a folder of its own.

    heap: of the firmware, bytes, or with k or m behind, as MicroPython's -X heapsize takes it; ""
    for what an ESP32 starts with, 64k, or twice that where 64 bit makes every object twice as
    large. What stands in for the chip gets room of its own: a chip has it in ROM.
    hosts: what its DNS says, name or "name:port" to (address, port), "*" for any other but a
    time server, None for a name that does not exist. speed: how many times faster than the
    host's its time runs. overlay: a folder of modules that stand in before the stand-ins do, e.g.
    a world.py that is in a test's hands, and world: what the chip file tells that one.
    """

    folder: Path
    mac: bytes
    bits: int = 32
    heap: str = ""
    epoch: int = 2000
    # answer after answer of a time server that hosts does not name, the last for ever: seconds it
    # is wrong by, None if none comes
    ntp: Sequence[int | None] = (0,)
    wifi: Mapping[str, str] = field(default_factory=lambda: {"bench": "no secret"})
    hidden: Sequence[str] = ()  # those of wifi that do not say their name
    cable: bool = False  # whether the Ethernet socket has one
    dns: int | None = 1  # 0: no DNS server answers, -1: none knows a name, None: lwIP hangs
    hosts: Mapping[str, tuple[str, int] | None] = field(default_factory=dict)
    speed: int = 1
    config: Mapping[str, object] = field(default_factory=dict)  # more for config.json
    uarts: Mapping[int, str | Path] = field(default_factory=dict)  # number to a tty, pipe or file
    cut: int = 0  # k: the power goes after the k-th NVS commit of the next run; -k: in its place
    overlay: Path | None = None
    world: Mapping[str, object] = field(default_factory=dict)
    cause: int = 1  # of the next start, as machine.reset_cause() says it; 1: power was off
    _pid: int = 0  # of what runs

    def __post_init__(self) -> None:
        if micropython.stands_in(self.bits):
            self.bits = 64
        self.heap = self.heap or ("64k" if self.bits == 32 else "128k")
        if not re.fullmatch("[1-9][0-9]{0,8}[km]?", self.heap):
            raise CommandError(f"heap {self.heap!r}: write bytes, e.g. 65536, 64k or 1m")

    @property
    def bitten(self) -> bool:
        """Whether the watchdog ended the last run."""
        return self.cause == _WDT_RESET

    @property
    def flash(self) -> Path:
        """The root of the board's filesystem."""
        return self.folder / "flash"

    def install(self, roots: Mapping[str, bytes], app: Path | None = None) -> None:
        """Put the firmware into the flash, with these roots (name to DER) and this app.py."""
        firmware.build(self.flash, roots, umqtt=True)
        users = [self.overlay] if self.overlay else []
        # what stands in for the chip lies in the heap, where a chip has it in ROM: keep it small
        firmware.compile_shrunk(_STAND_INS, self.folder / "stand_ins", users)
        if self.overlay:
            firmware.compile_folder(self.overlay, self.folder / "overlay")
        networks = [{"ssid": ssid, "password": word} for ssid, word in self.wifi.items()]
        # a board alone on a bench has no crowd to wait for
        document = {"wifi": networks, "spread": 0, **self.config}
        (self.flash / "config.json").write_text(json.dumps(document))
        if app:
            (self.flash / "app.py").write_bytes(app.read_bytes())

    def write_nvs(self, key: str, blob: bytes) -> None:
        """Put a blob into NVS, as the factory does."""
        namespace = self.folder / "nvs" / "keystead"
        namespace.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(namespace / f"{key}.blob", "wb", opener=private_file.opener) as file:
            file.write(blob)

    def set_clock(self, unix_time: int, cause: int = _SOFT_RESET) -> None:
        """Have it start with a clock that shows this: by a reset, as power-on has none."""
        self.cause = cause
        (self.folder / "clock").write_text(f"{unix_time} {int(time.time())}")

    def surround(self, **air: object) -> None:
        """Change what surrounds the board, also while it runs: wifi, hidden, cable, dns."""
        for name, value in air.items():
            setattr(self, name, value)
        now = {
            "wifi": dict(self.wifi), "hidden": list(self.hidden), "cable": self.cable,
            "dns": self.dns,
        }  # fmt: skip
        (self.folder / "air.new").write_text(json.dumps(now))
        os.replace(self.folder / "air.new", self.folder / "air.json")

    def drive(self, pin: int, *levels: int) -> None:
        """Put these levels, one after the other, on a pin that the running program watches."""
        with open(self.folder / "nvs" / "inputs", "a") as file:
            file.writelines(f"{pin} {level}\n" for level in levels)
        os.kill(self._pid, signal.SIGUSR1)

    def command(self) -> list[str]:
        """Return the words that power the board on; run them in `flash` with `environment`."""
        heap = ["-X", f"heapsize={_bytes(self.heap) + _STAND_INS_HEAP[self.bits]}"]
        return [*micropython.interpreter(self.bits), *heap, "-c", "import power_on"]

    def environment(self) -> dict[str, str]:
        """Write the chip file; return the environment that shows it to the stand-ins."""
        (self.folder / "nvs").mkdir(mode=0o700, exist_ok=True)
        if self.cause == _PWRON_RESET:
            (self.folder / "rtc").unlink(missing_ok=True)
            (self.folder / "clock").unlink(missing_ok=True)
        chip = self.folder / "chip.json"
        chip.write_text(json.dumps(self._chip()))
        self.surround()
        stand_ins = [str(self.folder / name) for name in ("overlay", "stand_ins")]
        path = ":".join([*stand_ins[not self.overlay :], "lib", ".frozen", ""])
        return {"KEYSTEAD_CHIP": str(chip), "MICROPYPATH": path, "TZ": "UTC"}

    def _chip(self) -> dict[str, object]:
        return {
            "mac": self.mac.hex(),
            "epoch": self.epoch,
            "nvs": str(self.folder / "nvs"),
            "speed": self.speed,
            "cut": self.cut,
            "cause": self.cause,
            "rtc": str(self.folder / "rtc"),
            "clock": str(self.folder / "clock"),
            "uarts": {str(number): str(path) for number, path in self.uarts.items()},
            "air": str(self.folder / "air.json"),
            "ntp": list(self.ntp),
            "hosts": self.hosts,
            "world": dict(self.world),
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
        self._pid = process.pid
        try:
            yield _lines(process.stdout)
        finally:
            # not process.kill(): on a process that just ended it would steal the exit code
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            self.cause = _cause(await process.wait())


def _cause(exit_code: int) -> int:
    """Return why a board starts whose process ended so; whatever killed it took its power."""
    if exit_code == -signal.SIGALRM:
        return _WDT_RESET
    return exit_code if exit_code in (_HARD_RESET, _DEEPSLEEP_RESET, _SOFT_RESET) else _PWRON_RESET


def _bytes(text: str) -> int:
    """Return a size as MicroPython reads it: 65536, 64k or 1m."""
    shift = {"k": 10, "m": 20}.get(text[-1], 0)
    return int(text.rstrip("km")) << shift


async def _lines(console: asyncio.StreamReader) -> AsyncIterator[str]:
    async for line in console:
        yield line.decode(errors="replace").rstrip("\r\n")
