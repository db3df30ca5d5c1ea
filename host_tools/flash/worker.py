"""The worker: the one process that has a port, and the only code that imports esptool.

Owns the serial line and the chip behind it; answers the calls of link.Link, one after another.
Knows no ledger, no batch and no group key. Images come through the pipe and stay in memory.
"""

import time
import zlib
from collections.abc import Callable, Sequence
from itertools import groupby
from multiprocessing.connection import Connection
from typing import Any

import esptool  # type: ignore[import-untyped]
import serial  # type: ignore[import-untyped]
from esptool import cmds
from esptool.loader import ESPLoader  # type: ignore[import-untyped]
from esptool.logger import TemplateLogger, log  # type: ignore[import-untyped]
from esptool.reset import ResetStrategy  # type: ignore[import-untyped]
from esptool.util import FatalError, PrintOnce  # type: ignore[import-untyped]

from host_tools.errors import CommandError
from host_tools.flash.chip import Chip, Traffic
from host_tools.flash.counted import Counted
from host_tools.flash.failure import FlashFailure
from host_tools.flash.running import LINE_ERRORS, Running
from host_tools.images import filesystem
from host_tools.serial_line import LineError, open_line
from keystead.failure import printable

ROM_BAUD = 115_200  # bits/s
_ATTEMPTS = 4  # resets, each with five tries to sync: about ten seconds
_DIFFERS = "Verification failed"  # what verify_flash() raises; else it could not compare

Place = tuple[int, int]  # offset in flash, how many bytes
Block = tuple[int, bytes]  # offset in flash, bytes


class Progress(TemplateLogger):  # type: ignore[misc]
    """What esptool says; of all that only its progress is of interest."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self.sizes: Sequence[int] = ()
        self._done = 0

    def begin(self, sizes: Sequence[int]) -> None:
        """Take the bytes of each image that will be written, one bar each."""
        self.sizes, self._done = sizes, 0

    def progress_bar(
        self, cur_iter: int, total_iters: int, prefix: str = "", suffix: str = "",
        bar_length: int = 30,
    ) -> None:  # fmt: skip
        """Tell how far all of them are."""
        if self._done >= len(self.sizes) or not total_iters:
            return
        now = self.sizes[self._done] * cur_iter / total_iters
        self._tell((sum(self.sizes[: self._done]) + now) / sum(self.sizes))
        if cur_iter >= total_iters:
            self._done += 1

    def print(self, *args: object, **kwargs: object) -> None:
        """Say nothing: the steps say it."""

    note = warning = error = print

    def stage(self, finish: bool = False) -> None:
        """Do nothing."""

    def set_verbosity(self, verbosity: str) -> None:
        """Do nothing."""


def serve(pipe: "Connection[Any, Any]", url: str) -> None:
    """Answer calls until the pipe is closed."""
    progress = Progress(lambda fraction: pipe.send(("progress", fraction)))
    set_up(progress)
    bench = Bench(url, progress)
    try:
        while True:
            name, words = pipe.recv()
            answer = _answered(bench, name, words)
            pipe.send(("traffic", bench.traffic))
            pipe.send(answer)
    except (EOFError, OSError):
        bench.close()


def set_up(progress: Progress) -> None:
    """Have esptool tell progress alone, for the whole process: so each port has one."""
    log.set_logger(progress)
    # its warning of a port without reset lines was bound to the logger before
    ResetStrategy.print_once = PrintOnce(progress.warning)
    # esptool spells out every byte in hex for a trace that is off: most of its time
    esptool.loader.HexFormatter = lambda data: ""


def _answered(bench: "Bench", name: str, words: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "value", getattr(bench, name)(*words)
    except FlashFailure as failure:
        return "failure", failure
    except LINE_ERRORS as error:
        return "failure", FlashFailure("port-lost", f"the port is gone ({_first_line(error)})")
    except Exception as error:  # whatever it is, the board is not good, and the parent says so
        what = f"{type(error).__name__}: {_first_line(error)}"
        return "failure", FlashFailure("worker-died", f"the port's process failed ({what})")


class Bench:
    """A port and what is on it; methods as in roles.Port."""

    def __init__(
        self, url: str, progress: Progress, opened: Callable[[str], Any] | None = None
    ) -> None:
        """progress: what esptool's logger is set to; opened: opens a line by its URL."""
        self._url = url
        self._progress = progress
        self._opened = opened or _opened
        self._line: Any = None
        self._esp: ESPLoader | None = None
        self._running: Running

    @property
    def traffic(self) -> Traffic:
        """Return the bytes counted so far."""
        return self._line.traffic if self._line else Traffic()

    def close(self) -> None:
        """Let go of the port."""
        if self._line:
            self._line.close()

    # ---- the chip in its loader

    def connect(self, baud: int) -> Chip:
        """Put the chip into its loader and the stub into the chip; see roles.Port."""
        self._open()
        self._esp = esp = self._detected()
        try:
            if secured := _secured(esp):  # neither stub nor speed for such a chip
                return Chip(_name(esp), _mac(esp), 0, secured)
            self._esp, speed = self._fast(esp, baud)
            return _described(self._esp, speed)
        except FatalError as error:
            why = f"the chip stopped answering ({_first_line(error)})"
            raise FlashFailure("no-answer", why) from None

    def _open(self) -> None:
        if self._line is None:
            self._line = Counted(self._opened(self._url))
            self._running = Running(self._line, comes_back="://" not in self._url)
        elif not self._line.is_open:  # esptool closes what it can not talk to
            self._line.open()

    def _detected(self) -> ESPLoader:
        try:
            return cmds.detect_chip(self._line, ROM_BAUD, connect_attempts=_ATTEMPTS)
        except FatalError as error:
            raise FlashFailure("no-answer", f"no ESP32 answers ({_first_line(error)})") from None

    def _fast(self, esp: ESPLoader, baud: int) -> tuple[ESPLoader, int]:
        try:
            return self._attached(esp, baud), baud
        except FatalError:
            if baud <= ROM_BAUD:
                raise
        return self._attached(self._detected(), ROM_BAUD), ROM_BAUD

    def _attached(self, esp: ESPLoader, baud: int) -> ESPLoader:
        esp = cmds.run_stub(esp)
        if baud != ROM_BAUD:
            esp.change_baud(baud)
        cmds.attach_flash(esp)
        cmds.detect_flash_size(esp)
        return esp

    def read(self, places: Sequence[Place]) -> list[bytes]:
        """Return what is in flash; see roles.Port."""
        return [self._read(*place) for place in places]

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return bytes(cmds.read_flash(self._loader, offset, size, no_progress=True) or b"")
        except FatalError as error:
            where = f"{size} bytes at {offset:#x} can not be read"
            raise FlashFailure("read-failed", f"{where} ({_first_line(error)})") from None

    def files(self, image: bytes) -> dict[str, bytes]:
        """Return the files of a filesystem; see roles.Port."""
        return read_back(image)

    def blank(self, offset: int, size: int) -> bool:
        """Tell whether the flash is erased there; see roles.Port."""
        try:
            return self._is_there((offset, b"\xff" * size))
        except FatalError as error:
            what = f"{size} bytes at {offset:#x} can not be compared"
            raise FlashFailure("read-failed", f"{what} ({_first_line(error)})") from None

    def write(self, blocks: Sequence[Block]) -> int:
        """Write the blocks that are not in flash yet; see roles.Port."""
        try:
            return self._write(blocks)
        except FatalError as error:
            raise FlashFailure("write-failed", f"writing failed ({_first_line(error)})") from None
        finally:
            self._progress.begin(())

    def _write(self, blocks: Sequence[Block]) -> int:
        wanted = [block for block in blocks if not self._is_there(block)]
        self._progress.begin([len(data) for _, data in wanted])
        # esptool stops compressing for good at the first image that does not get smaller
        for _, group in groupby(wanted, _compresses):
            cmds.write_flash(self._loader, list(group))
        return sum(len(data) for _, data in wanted)

    def _is_there(self, block: Block) -> bool:
        try:
            cmds.verify_flash(self._loader, [block])
        except FatalError as error:
            if _DIFFERS in str(error):
                return False
            raise
        return True

    @property
    def _loader(self) -> ESPLoader:
        if self._esp is None:
            raise FlashFailure("no-answer", "the chip is not in its loader")
        return self._esp

    # ---- the board that runs

    def restart(self) -> None:
        """Reset the chip so that it runs what is in flash; see roles.Port."""
        esp = self._loader
        self._running.expect_boot()
        cmds.reset_chip(esp, "hard-reset")

    def line(self, seconds: float) -> str | None:
        """Return the next line of the console; see roles.Port."""
        return self._running.line(seconds)

    def newcomer(self, seconds: float) -> bool:
        """Wait so long for a board to be put on the port: it is powered, or the port comes."""
        if self._line is None:
            time.sleep(seconds)
            return True
        return self._running.newcomer(seconds)

    def prove(self, nonce: str) -> str:
        """Have the running board sign a nonce; see roles.Port."""
        return self._running.prove(nonce)


def read_back(image: bytes) -> dict[str, bytes]:
    """Return the files of a filesystem as it was read back; FlashFailure differs."""
    try:
        return filesystem.read(image)
    except CommandError as error:
        raise FlashFailure("differs", f"the filesystem read back: {error}") from None


def _opened(url: str) -> serial.SerialBase:
    try:
        return open_line(url, ROM_BAUD)
    except LineError as error:
        reason = "port-busy" if "in use" in str(error) else "port-absent"
        raise FlashFailure(reason, str(error)) from None


def _compresses(block: Block) -> bool:
    return len(zlib.compress(block[1], 1)) < len(block[1])


def _name(esp: ESPLoader) -> str:
    return str(esp.CHIP_NAME).lower().replace("-", "")


def _mac(esp: ESPLoader) -> bytes:
    if esp.secure_download_mode:
        return b""  # its registers can not be read
    return bytes(esp.read_mac("BASE_MAC"))


def _secured(esp: ESPLoader) -> tuple[str, ...]:
    if esp.secure_download_mode:
        return ("secure download mode",)
    found = (
        ("secure boot", esp.get_secure_boot_enabled()),
        ("flash encryption", esp.get_flash_encryption_enabled()),
    )
    return tuple(name for name, on in found if on)


def _flash_size(esp: ESPLoader) -> int:
    text = cmds.detect_flash_size(esp)
    unit = {"KB": 1 << 10, "MB": 1 << 20}
    return int(text[:-2]) * unit[text[-2:]] if text else 0


def _described(esp: ESPLoader, baud: int) -> Chip:
    description, version = esp.get_chip_description(), esptool.__version__
    return Chip(_name(esp), _mac(esp), _flash_size(esp), (), description, baud, version)


def _first_line(error: BaseException) -> str:
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0])
