"""A factory line without wires: boards that are a flash in memory, faults at any point.

Model of what roles.Port promises. The ledger beside it is a real one.
"""

import hashlib
import json
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keystead
from host_tools import boards, keys, nvs
from host_tools.batch import Batch, Unit
from host_tools.boards import Region
from host_tools.errors import CommandError
from host_tools.flash.chip import Chip, Traffic
from host_tools.flash.failure import FlashFailure
from host_tools.flash.load import Load
from host_tools.flash.steps import Line, Order
from host_tools.flash.worker import read_back
from host_tools.images import filesystem, parts
from host_tools.images.partitions import Layout
from host_tools.images.parts import Part
from host_tools.ledger import Identity, Ledger
from host_tools.nvs.reader import stored
from keystead import proof
from keystead.failure import Failure
from keystead.record import unpack

SECTOR = 4096
_ENCODINGS = {"blob": "binary"}  # what an entry is written as, where not as it is called
FLASH = 0x30000
LAYOUT = Layout(
    Region(0x9000, 0x6000), Region(0x20000, 0x10000), Region(0x10000, 0x8000), FLASH, True
)
GROUP_KEY = bytes(range(32))
PORT = "rfc2217://127.0.0.1:4001"
BATCH = Batch("pilot", "ESP32_GENERIC_C3", "0ne00002193")
UNITS = [Unit(f"{number:04}") for number in range(1, 9)]


def load(files: dict[str, bytes]) -> Load:
    """Return a small load: an image that spans NVS as a published one does, and a filesystem."""
    image = b"bootloader".ljust(0xF000, b"\xff") + random.Random(1).randbytes(0x4000)
    disk = filesystem.of_files(files, LAYOUT.vfs.size)
    shared = (Part("micropython", 0, image), Part("vfs", LAYOUT.vfs.offset, disk))
    return Load(LAYOUT, shared, files, {"micropython": "v1.26.1"})


LOADS = [load({"main.py": b"run()", "lib/x.mpy": bytes([9]) * n}) for n in (3000, 9000)]


class Killed(BaseException):
    """The station's process is gone: kill -9."""


@dataclass
class Fuse:
    """Strikes once, at the n-th point that is passed from now on; None: never.

    strike: is told what is passed, "port", "ledger" or "committed"; False: not there, but at the
    next point.
    """

    points: int | None = None
    strike: Callable[[str], bool] = lambda place: True

    def passed(self, place: str = "port") -> None:
        """Pass a point."""
        if self.points is None:
            return
        left, self.points = self.points, None
        if left or not self.strike(place):
            self.points = max(0, left - 1)


@dataclass
class ModelBoard:
    """One board: MAC, flash, and whether it is in its loader."""

    mac: bytes
    chip: str = "esp32c3"
    size: int = FLASH
    secured: tuple[str, ...] = ()
    key: bytes = b""  # what it signs with instead of its record's
    deaf: bool = False  # its console says nothing
    loader: bool = False
    flash: bytearray = field(default_factory=lambda: bytearray(b"\xff" * FLASH))

    def record(self) -> Any:
        """Return its factory record; Failure or NvsError."""
        region = LAYOUT.nvs
        blob = nvs.read(bytes(self.flash[region.offset : region.end]))[parts.NAMESPACE, parts.KEY]
        assert isinstance(blob, bytes)
        return unpack(blob, self.mac)

    def files(self) -> dict[str, bytes]:
        """Return the files in its flash; CommandError."""
        return filesystem.read(bytes(self.flash[LAYOUT.vfs.offset : LAYOUT.vfs.end]))

    def boot(self) -> list[str]:
        """Return what its console says after a reset."""
        self.loader = False
        if not self.flash.startswith(b"bootloader"):
            return ["invalid header: 0xffffffff"] * 3
        try:
            self.files()
            said = [f"[   0.10] keystead {keystead.__version__}, MAC {self.mac.hex(':')}"]
        except CommandError:
            return ["MicroPython v1.26.1", ">>> "]
        try:
            record = self.record()
        except (Failure, KeyError, nvs.NvsError):
            return [*said, "[   0.20] FAILURE 21 record-absent"]
        who = f"{record.registration_id}, ID scope {record.id_scope}"
        return [*said, f"[   0.20] factory record: {who}", "[   0.30] FAILURE 32 network-down"]

    def live(self) -> None:
        """Change NVS as a firmware does that runs."""
        region = LAYOUT.nvs
        image = bytes(self.flash[region.offset : region.end])
        entries = [
            nvs.Entry(one.namespace, one.key, _ENCODINGS.get(one.type, one.type), one.value)
            for one in stored(image)
            if one.key != "failure"
        ]
        entries.append(nvs.Entry("keystead", "failure", "i32", 32))
        self.flash[region.offset : region.end] = nvs.partition(entries, region.size)


class ModelPort:
    """A port with whatever board is on it; implements roles.Port."""

    def __init__(self, board: ModelBoard, fuse: Fuse, fast: bool = True) -> None:
        self.board, self.fuse, self.fast = board, fuse, fast
        self.traffic = Traffic()
        self.written: list[int] = []
        self._lines: deque[str] = deque()

    def connect(self, baud: int) -> Chip:
        self.fuse.passed()
        board = self.board
        board.loader = True
        return Chip(
            board.chip,
            board.mac,
            board.size,
            board.secured,
            "model",
            baud if self.fast else 115200,
        )

    def read(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        return [bytes(self._flash()[offset : offset + size]) for offset, size in places]

    def files(self, image: bytes) -> dict[str, bytes]:
        self.fuse.passed()
        return read_back(image)

    def blank(self, offset: int, size: int) -> bool:
        return bytes(self._flash()[offset : offset + size]) == b"\xff" * size

    def write(self, pieces: Sequence[Part]) -> int:
        self.written = []
        for piece in pieces:
            if self._flash()[piece.offset : piece.end] != piece.data:
                self._write(piece)
                self.written.append(piece.offset)
        return sum(len(piece.data) for piece in pieces)

    def _write(self, piece: Part) -> None:
        # the power may go between any two sectors, and halfway through one
        for start in range(0, len(piece.data), SECTOR):
            data, at = piece.data[start : start + SECTOR], piece.offset + start
            for cut in (0, len(data) // 3, len(data)):
                self._flash()[at : at + SECTOR] = data[:cut].ljust(SECTOR, b"\xff")

    def restart(self) -> None:
        self.fuse.passed()
        self._lines = deque([] if self.board.deaf else self.board.boot())
        self.fuse.passed()

    def line(self, seconds: float) -> str | None:
        self.fuse.passed()
        return self._lines.popleft() if self._lines else None

    def prove(self, nonce: str) -> str:
        self.fuse.passed()
        if self.board.loader:
            raise FlashFailure("proof-absent", "no REPL")
        try:
            record = self.board.record()
        except (Failure, KeyError, nvs.NvsError):
            raise FlashFailure("proof-absent", "no record") from None
        self.board.live()
        answer = proof.claims(record, bytes.fromhex(nonce))
        if self.board.key:
            answer["proof"] = proof.proof(self.board.key, bytes.fromhex(nonce))
        return json.dumps(answer)

    def _flash(self) -> bytearray:
        self.fuse.passed()
        if not self.board.loader:
            raise FlashFailure("no-answer", "nobody answers")
        return self.board.flash


class Struck:
    """A ledger that a fuse strikes before and after each of its transactions."""

    def __init__(self, ledger: Ledger, fuse: Fuse, good: Callable[[Identity], None]) -> None:
        self._ledger, self._fuse, self._good = ledger, fuse, good

    def peek(self, batch_name: str, mac: bytes, chip: str) -> Identity:
        return self._call(self._ledger.peek, batch_name, mac, chip)

    def reserve(self, batch_name: str, mac: bytes, chip: str) -> Identity:
        return self._call(self._ledger.reserve, batch_name, mac, chip)

    def begin_attempt(self, registration_id: str, kind: str = "flashing", **facts: Any) -> int:
        return self._call(self._ledger.begin_attempt, registration_id, kind, **facts)

    def append(self, registration_id: str, kind: str, **facts: Any) -> object:
        if kind == "good":
            self._good(self._ledger.identity(registration_id))
        return self._call(self._ledger.append, registration_id, kind, **facts)

    def refuse(self, batch_name: str, mac: bytes, chip: str, **facts: Any) -> object:
        return self._call(self._ledger.refuse, batch_name, mac, chip, **facts)

    def by_mac(self, mac: bytes) -> Identity | None:
        found: Identity | None = self._call(self._ledger.by_mac, mac)
        return found

    def _call(self, function: Callable[..., Any], *words: Any, **facts: Any) -> Any:
        self._fuse.passed("ledger")
        result = function(*words, **facts)
        self._fuse.passed("committed")
        return result


class GroupKey:
    """Device keys of the model's group."""

    def device_keys(self, registration_id: str) -> tuple[bytes, bytes]:
        return keys.derive_device_key(GROUP_KEY, registration_id), b""


class Silent:
    """Nobody is told."""

    def step(self, name: str) -> None: ...

    def chip(self, chip: Chip) -> None: ...

    def identity(self, identity: Identity) -> None: ...


class Clock:
    """Time passes only while somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


def order(load: Load = LOADS[0], **more: Any) -> Order:
    """Return what is to be made of the model's boards."""

    def sized(flash_size: int) -> Load:
        if flash_size < FLASH:
            raise CommandError(f"MicroPython needs {FLASH} bytes of flash, there are {flash_size}")
        return load

    board = boards.get("ESP32_GENERIC_C3")
    return Order(BATCH, board, sized, keystead.__version__, **more)


def line(port: ModelPort, book: Any, what: Order | None = None) -> Line:
    """Return a port's way through the steps, with nonces that are never twice the same."""
    return Line(port, book, GroupKey(), what or order(), Silent(), clock=Clock(), place=PORT)


def mac(number: int) -> bytes:
    """Return the MAC of the model's n-th board."""
    return hashlib.md5(b"%d" % number).digest()[:6]
