"""The serial loader in a chip's ROM: one request frame in, its reply frames out.

Owns the commands of the ROM and their checks. Doesn't own the wire (slip, chip), the registers or
the flash. Sources: esptool's "Serial Protocol" documentation, and what esptool 5.6 asks for.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable

from host_tools.virtual_board.download import Deflated, Download, Plain
from host_tools.virtual_board.loader_protocol import (
    Board,
    Error,
    Jumped,
    Op,
    Refused,
    checksum,
)

_SYNC = b"\x07\x07\x12\x20" + b"\x55" * 32
_BEYOND_SECURE_DOWNLOAD = frozenset(
    (Op.MEM_BEGIN, Op.MEM_DATA, Op.MEM_END, Op.WRITE_REG, Op.READ_REG, Op.READ_FLASH_SLOW,
     Op.SPI_FLASH_MD5)
)  # fmt: skip


class RomLoader:
    """One run of the loader, from reset to the next."""

    sync_value = 0x20120707
    tail = b"\x00\x00"  # behind the two status bytes; a stub sends none
    error_unknown = error_bad_length = Error.INVALID
    error_bad_checksum = Error.BAD_CHECKSUM
    error_write, error_deflate = Error.WRITE, Error.DEFLATE
    md5_in_hex = True

    def __init__(self, board: Board):
        self.board = board
        self.after: Callable[[], None] | None = None  # to be called once the reply is sent
        self._download: Download | None = None
        self._commands: dict[int, Callable[[bytes, int], bytes | int]] = {
            Op.FLASH_BEGIN: self._flash_begin,
            Op.FLASH_DATA: self._flash_data,
            Op.FLASH_END: self._flash_end,
            Op.MEM_BEGIN: self._mem_begin,
            Op.MEM_DATA: self._mem_data,
            Op.MEM_END: self._mem_end,
            Op.WRITE_REG: self._write_reg,
            Op.READ_REG: self._read_reg,
            Op.SPI_SET_PARAMS: self._set_params,
            Op.SPI_ATTACH: self._attach,
            Op.READ_FLASH_SLOW: self._read_flash_slow,
            Op.CHANGE_BAUD: self._change_baud,
            Op.DEFLATE_BEGIN: self._deflate_begin,
            Op.DEFLATE_DATA: self._flash_data,
            Op.DEFLATE_END: self._flash_end,
            Op.SPI_FLASH_MD5: self._md5,
        }
        if board.model.security_info:
            self._commands[Op.SECURITY_INFO] = self._security_info

    def answer(self, frame: bytes) -> Iterable[bytes]:
        """Return the frames that answer a request; none to what is no request."""
        if len(frame) < 8 or frame[0] != 0:
            return []
        op, length, check = struct.unpack_from("<xBHI", frame)
        body = frame[8:]
        if op == Op.SYNC:
            return self._sync(body)
        try:
            if length != len(body):
                raise Refused(self.error_bad_length)
            return [self._reply(op, self._do(op, body, check))]
        except Refused as refusal:
            return [self._frame(op, 0, b"", bytes((1, refusal.args[0])))]
        except Jumped:
            return []

    def _do(self, op: int, body: bytes, check: int) -> bytes | int:
        command = self._commands.get(op)
        secure = self.board.efuses.named("secure download mode")
        if command is None or (secure and op in _BEYOND_SECURE_DOWNLOAD):
            raise Refused(self.error_unknown)
        try:
            return command(body, check)
        except struct.error:
            raise Refused(self.error_bad_length) from None
        except ValueError:  # beyond the flash, or no address of a word
            raise Refused(Error.FAILED) from None

    def _sync(self, body: bytes) -> list[bytes]:
        return [self._frame(Op.SYNC, self.sync_value, b"")] * 8 if body == _SYNC else []

    def _reply(self, op: int, result: bytes | int) -> bytes:
        if isinstance(result, int):
            return self._frame(op, result, b"")
        return self._frame(op, 0, result)

    def _frame(self, op: int, value: int, data: bytes, status: bytes = b"\x00\x00") -> bytes:
        data += status + self.tail
        return struct.pack("<BBHI", 1, op, len(data), value) + data

    # - - - RAM

    def _mem_begin(self, body: bytes, check: int) -> int:
        struct.unpack_from("<IIII", body)
        return 0

    def _mem_data(self, body: bytes, check: int) -> int:
        self._block(body, check)
        return 0

    def _mem_end(self, body: bytes, check: int) -> int:
        stay, entry = struct.unpack_from("<II", body)
        if entry and not stay:
            # whatever was uploaded is taken for esptool's stub: no machine code runs here
            self.after = self.board.start_stub
        return 0

    def _block(self, body: bytes, check: int) -> bytes:
        """Return the data of a block that came with its length, number and checksum."""
        (length,) = struct.unpack_from("<I12x", body)
        data = body[16:]
        if length != len(data):
            raise Refused(self.error_bad_length)
        if check & 0xFF != checksum(data):
            raise Refused(self.error_bad_checksum)
        return data

    # - - - registers

    def _read_reg(self, body: bytes, check: int) -> int:
        (address,) = struct.unpack("<I", body)
        return self.board.registers.read(address)

    def _write_reg(self, body: bytes, check: int) -> int:
        if not body or len(body) % 16:
            raise Refused(self.error_bad_length)
        for address, value, mask, _delay in struct.iter_unpack("<IIII", body):
            self.board.registers.write(address, value, mask)
        return 0

    # - - - flash

    def _attach(self, body: bytes, check: int) -> int:
        struct.unpack_from("<I", body)
        return 0

    def _set_params(self, body: bytes, check: int) -> int:
        _, size, *_ = struct.unpack_from("<IIIIII", body)
        self.board.flash_size = size
        return 0

    def _flash_begin(self, body: bytes, check: int) -> int:
        erase, _blocks, _block, offset = struct.unpack_from("<IIII", body)
        self._begin(Plain, offset, erase, _encrypted(body))
        return 0

    def _deflate_begin(self, body: bytes, check: int) -> int:
        size, _blocks, _block, offset = struct.unpack_from("<IIII", body)
        self._begin(Deflated, offset, size, _encrypted(body))
        return 0

    def _begin(self, kind: type[Download], offset: int, size: int, encrypted: bool) -> None:
        if encrypted:  # the chip's own encryption is not played here
            raise Refused(Error.FAILED)
        self._check(offset, size)
        self._download = kind(self.board.flash, offset, size)
        self._download.erase_all()

    def _flash_data(self, body: bytes, check: int) -> int:
        data = self._block(body, check)
        if self._download is None:
            raise Refused(Error.FAILED)
        try:
            self._download.write(data)
        except Download.NotDeflated:
            raise Refused(self.error_deflate) from None
        except ValueError:
            raise Refused(self.error_write) from None
        return 0

    def _flash_end(self, body: bytes, check: int) -> int:
        (stay,) = struct.unpack_from("<I", body)
        self._download = None
        self.after = self.board.run_program if stay else self.board.restart
        return 0

    def _md5(self, body: bytes, check: int) -> bytes:
        offset, size = struct.unpack_from("<II", body)
        self._check(offset, size)
        digest = self.digest(offset, size)
        return digest.hex().encode() if self.md5_in_hex else digest

    def digest(self, offset: int, size: int) -> bytes:
        """Return the MD5 of a part of the flash."""
        digest = hashlib.md5(usedforsecurity=False)
        for start in range(offset, offset + size, 1 << 20):
            digest.update(self.board.flash.read(start, min(1 << 20, offset + size - start)))
        return digest.digest()

    def _read_flash_slow(self, body: bytes, check: int) -> bytes:
        offset, size = struct.unpack_from("<II", body)
        entry = self.board.model.secure_boot_entry
        if entry and not size and self.board.registers.read(entry):
            self.after = self.board.start_stub  # how esptool enters its stub on a secure S3
            raise Jumped
        if size > 64:
            raise Refused(Error.LENGTH)
        self._check(offset, size)
        return self.board.flash.read(offset, size).ljust(64, b"\xff")

    def _check(self, offset: int, size: int) -> None:
        if offset + size > min(self.board.flash_size, self.board.flash.size):
            raise Refused(Error.FAILED)

    # - - - the rest

    def _change_baud(self, body: bytes, check: int) -> int:
        (baud,) = struct.unpack_from("<I", body)
        if not 300 <= baud <= 5_000_000:
            raise Refused(Error.FAILED)
        self.after = lambda: self.board.set_baud(baud)
        return 0

    def _security_info(self, body: bytes, check: int) -> bytes:
        efuses = self.board.efuses
        flags = (
            efuses.named("secure boot")
            | efuses.named("aggressive revoke") << 1
            | efuses.named("secure download mode") << 2
            | efuses.named("revoked keys") << 3
            | (efuses.named("soft no JTAG") == 7) << 6
            | efuses.named("no JTAG") << 7
        )
        purposes = (efuses.key_purposes() + [0] * 7)[:7]
        crypt = efuses.named("flash encryption")
        return struct.pack("<IB7BII", flags, crypt, *purposes, self.board.model.chip_id, 0)


def _encrypted(body: bytes) -> bool:
    return len(body) >= 20 and struct.unpack_from("<I", body, 16)[0] != 0
