"""esp32.NVS of a virtual board, answered on the host upon the NVS partition in its flash.

Owns the letters by which stand_ins/on_flash/esp32.py asks and the numbers that MicroPython's
OSError has. Doesn't own how NVS lies in flash (host_tools.nvs).
"""

from collections.abc import Callable

from host_tools.boards import Region
from host_tools.nvs import NvsError, Store
from host_tools.nvs.errors import NoFreePages
from host_tools.virtual_board.flash_chip import FlashChip

_INVALID_LENGTH = -0x110C
_OTHER = -0x101  # ESP_FAIL has no number of its own in OSError
Answer = tuple[int, bytes]  # what is answered: bytes, or an error


class NvsService:
    """The NVS partition while a program runs."""

    def __init__(self, flash: FlashChip, region: Region) -> None:
        """Open it as MicroPython's main.c does: one that can not be opened is erased."""
        try:
            self._store = Store(flash, region)
        except NoFreePages:
            flash.erase(region.offset, region.size)
            self._store = Store(flash, region)
        self._names = {_INVALID_LENGTH: "ESP_ERR_NVS_INVALID_LENGTH"}
        self._calls: dict[str, Callable[[list[bytes], int], bytes]] = {
            "n": self._open, "b": self._get_blob, "B": self._set_blob, "i": self._get_i32,
            "J": self._set_i32, "e": self._erase_key, "c": self._commit,
        }  # fmt: skip

    def knows(self, letter: str) -> bool:
        """Tell whether a question is for NVS."""
        return letter == "N" or letter in self._calls

    def answer(self, letter: str, number: int, text: bytes) -> Answer:
        """Answer a question: (number of bytes, these), or (negative error, b"")."""
        if letter == "N":
            name = self._names.get(number, "ESP_FAIL").encode()
            return len(name), name
        try:
            data = self._calls[letter](text.split(b"\0", 2), number)
        except NvsError as error:
            code = -error.code or _OTHER
            self._names[code] = error.name or "ESP_FAIL"
            return code, b""
        return (len(data), data) if len(data) <= number else (_INVALID_LENGTH, b"")

    def _open(self, fields: list[bytes], _: int) -> bytes:
        self._store.open_namespace(fields[0].decode())
        return b""

    def _get_blob(self, fields: list[bytes], _: int) -> bytes:
        return self._store.get_blob(fields[0].decode(), fields[1].decode())

    def _set_blob(self, fields: list[bytes], _: int) -> bytes:
        self._store.set_blob(fields[0].decode(), fields[1].decode(), fields[2])
        return b""

    def _get_i32(self, fields: list[bytes], _: int) -> bytes:
        value = self._store.get_i32(fields[0].decode(), fields[1].decode())
        return value.to_bytes(4, "little", signed=True)

    def _set_i32(self, fields: list[bytes], _: int) -> bytes:
        value = int.from_bytes(fields[2], "little", signed=True)
        self._store.set_i32(fields[0].decode(), fields[1].decode(), value)
        return b""

    def _erase_key(self, fields: list[bytes], _: int) -> bytes:
        self._store.erase_key(fields[0].decode(), fields[1].decode())
        return b""

    def _commit(self, fields: list[bytes], _: int) -> bytes:
        self._store.commit()
        return b""
