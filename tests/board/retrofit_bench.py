"""A board with somebody's own program, and what a test needs to retrofit it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import serial  # type: ignore[import-untyped]

import keystead
from host_tools import nvs
from host_tools.errors import CommandError
from host_tools.images import filesystem
from host_tools.keys import derive_device_key
from host_tools.retrofit.board_facts import BoardFacts
from host_tools.retrofit.meeting import Meeting
from host_tools.retrofit.order import Order
from host_tools.retrofit.owner import NoAttempt
from host_tools.retrofit.port import Port
from host_tools.retrofit.record import Found
from host_tools.retrofit.steps import Retrofit
from host_tools.serial_line import LineError, open_line
from host_tools.virtual_board.farm import VirtualBoard
from keystead.record import FactoryRecord
from tests.board.repl_bench import NVS, VFS, image

GROUP_KEY = bytes(range(64))
MAC = bytes.fromhex("a0b1c2d3e4f5")
NAME = "sn-7-mac-a0-b1-c2-d3-e4-f5"
TICKING = b"import time\nwhile True:\n    print('tick')\n    time.sleep(0.02)\n"
PATIENCE = 60.0  # seconds: a busy machine may stand still for many
OWN = {"main.py": TICKING, "boot.py": b"print('booted')\n", "data/log.txt": b"x" * 5000}


def record(name: str = NAME) -> FactoryRecord:
    return FactoryRecord(MAC, "0ne1", name, derive_device_key(GROUP_KEY, name))


def flash(folder: Path, files: Mapping[str, bytes] = OWN, kept: bytes = b"") -> Path:
    """A flash with MicroPython and somebody's own files, and with this record, if there is one."""
    file = folder / "flash.bin"
    content = filesystem.of_files(files, (4 << 20) - VFS)
    file.write_bytes(image().ljust(VFS, b"\xff") + content)
    if kept:
        entries = [nvs.Entry("keystead", "record", "binary", kept)]
        with open(file, "r+b") as stream:
            stream.seek(NVS)
            stream.write(nvs.partition(entries, 0x6000))
    return file


def files_of(board: VirtualBoard) -> dict[str, bytes]:
    return filesystem.read(board.flash.read(VFS, board.flash.size - VFS))


def nvs_of(board: VirtualBoard) -> dict[tuple[str, str], Any]:
    return nvs.read(board.flash.read(NVS, 0x6000))


class Cable:
    """The line to a board, which goes when the board loses its power."""

    def __init__(self, board: VirtualBoard) -> None:
        self._board = board
        self._line = open_line(board.urls[0])

    def __getattr__(self, name: str) -> Any:
        if not self._board.powered and name != "close":
            raise serial.SerialException("device disconnected")
        return getattr(self._line, name)

    @property
    def timeout(self) -> float | None:
        return self._line.timeout  # type: ignore[no-any-return]

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        self._line.timeout = seconds


def plugged(board: VirtualBoard) -> Port:
    def opener(url: str) -> Cable:
        if not board.powered:
            raise LineError(f"{url}: there is no such port")
        return Cable(board)

    return Port(board.urls[0], opener, back=0.1)


class Owner:
    """Whoever has one record to give."""

    def __init__(self, gives: FactoryRecord) -> None:
        self.gives = gives

    def name(self, facts: BoardFacts, found: Found | None) -> str:
        return self.gives.registration_id

    def record(self, facts: BoardFacts, found: Found | None) -> FactoryRecord:
        return self.gives

    def begin(self, record: FactoryRecord, facts: BoardFacts) -> NoAttempt:
        return NoAttempt()

    def refuse(self, facts: BoardFacts, step: str, error: CommandError) -> None:
        """Write nothing down."""


class Quiet:
    """Told everything; unplugs the board at a step, or so many bytes of flash after it."""

    def __init__(self, board: VirtualBoard, at: str = "", after: int = 0) -> None:
        self._board, self._at, self._after = board, at, after
        self.facts: list[str] = []

    def step(self, name: str, total: int = 0) -> None:
        if name == self._at:
            if self._after:
                self._board.flash.bytes_left = self._after
            else:
                self._board.power_off()

    def moved(self, size: int) -> None:
        pass

    def fact(self, text: str) -> None:
        self.facts.append(text)


def retrofit(
    board: VirtualBoard, port: Port, content: Mapping[str, bytes], told: Quiet, **order: Any
) -> Retrofit:
    wanted: dict[str, Any] = {"given": (), "backup": None, "version": keystead.__version__}
    owner = Owner(order.pop("whose", record()))
    what = Order(lambda facts: content, **{**wanted, **order})
    return Retrofit(Meeting(port, what, owner, told, PATIENCE))


def run(board: VirtualBoard, content: Mapping[str, bytes], **order: Any) -> Any:
    with plugged(board) as port:
        return retrofit(board, port, content, Quiet(board), **order).run()
