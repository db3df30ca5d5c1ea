"""The loaders without a wire: frames in, frames out; and the frames themselves."""

import hashlib
import random
import struct
import zlib
from collections.abc import Iterator
from functools import reduce
from operator import xor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.virtual_board import models, slip
from host_tools.virtual_board.efuses import Efuses
from host_tools.virtual_board.flash_chip import FlashChip
from host_tools.virtual_board.loader_protocol import LONGEST, Board, checksum
from host_tools.virtual_board.registers import Registers
from host_tools.virtual_board.rom_loader import RomLoader
from host_tools.virtual_board.spi_flash import SpiFlash
from host_tools.virtual_board.stub_loader import StubLoader

MAC = bytes.fromhex("a0b1c2d3e4f5")
SIZE = 4 << 20
SYNC = b"\x07\x07\x12\x20" + b"\x55" * 32
use_fixture = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=100,
)


class Bench:
    """A board without a chip around it, and a client that speaks in frames."""

    def __init__(self, folder: Path, chip: str = "esp32c3") -> None:
        model = models.get(chip)
        self.flash = FlashChip(folder / "flash.bin", SIZE)
        self.efuses = Efuses(model.efuses, MAC)
        self.done: list[object] = []
        spi = SpiFlash(self.flash)
        registers = Registers(
            model, self.efuses, spi, lambda: 115200, lambda: self.done.append("watchdog")
        )
        self.board = Board(
            model,
            self.flash,
            self.efuses,
            registers,
            set_baud=self.done.append,
            start_stub=lambda: self.done.append("stub"),
            run_program=lambda: self.done.append("run"),
            restart=lambda: self.done.append("restart"),
        )
        self.loader = RomLoader(self.board)

    def use_stub(self) -> None:
        self.loader = StubLoader(self.board)

    def ask(self, op: int, body: bytes = b"", check: int = 0) -> tuple[int, bytes]:
        """Return value and data of the one reply; the last bytes of data are the status."""
        request = struct.pack("<BBHI", 0, op, len(body), check) + body
        (reply,) = self.loader.answer(request)
        direction, answered, length, value = struct.unpack_from("<BBHI", reply)
        assert (direction, answered, length) == (1, op, len(reply) - 8)
        return value, reply[8:]

    def status(self, op: int, body: bytes = b"", check: int = 0) -> bytes:
        data = self.ask(op, body, check)[1]
        return data[: 2 if isinstance(self.loader, StubLoader) else 4][:2]

    def read_word(self, address: int) -> int:
        return self.ask(0x0A, struct.pack("<I", address))[0]

    def block(self, op: int, data: bytes) -> bytes:
        return self.status(op, struct.pack("<IIII", len(data), 0, 0, 0) + data, checksum(data))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.flash.close()


# - - - frames


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=8), st.integers(1, 50))
def test_frames_come_out_as_they_went_in_however_they_are_cut(frames, step) -> None:
    wire = b"".join(slip.encode(frame) for frame in frames)
    decoder = slip.Decoder(LONGEST)
    came = [
        frame
        for start in range(0, len(wire), step)
        for frame in decoder.feed(wire[start : start + step])
    ]
    assert came == frames


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=50))
def test_noise_never_hides_the_second_frame_behind_it(noise: bytes, frame: bytes) -> None:
    decoder = slip.Decoder(LONGEST)
    decoder.feed(noise)
    # the first may be taken together with the noise; an END always begins anew
    assert frame in decoder.feed(slip.encode(frame) + slip.encode(frame))


def test_a_frame_without_an_end_is_not_kept_for_ever() -> None:
    decoder = slip.Decoder(1000)
    decoder.feed(slip.END)
    for _ in range(100):
        assert decoder.feed(b"x" * 1000) == []
    assert sum(len(part) for part in decoder._parts) <= 1000
    assert decoder.feed(slip.END + b"next" + slip.END) == [b"next"]


def test_a_bad_escape_spoils_its_frame_alone() -> None:
    wire = slip.END + b"a\xdbb" + slip.END + slip.encode(b"good")
    assert slip.Decoder(LONGEST).feed(wire) == [b"good"]


@given(st.binary(max_size=3000))
def test_the_checksum_is_what_esptool_makes_byte_by_byte(data: bytes) -> None:
    assert checksum(data) == reduce(xor, data, 0xEF)


# - - - foreign bytes


@use_fixture
@given(st.binary(max_size=120), st.booleans())
def test_no_bytes_at_all_crash_a_loader(bench: Bench, frame: bytes, stub: bool) -> None:
    bench.loader = (StubLoader if stub else RomLoader)(bench.board)
    for reply in bench.loader.answer(frame):
        assert isinstance(reply, bytes)


operations = st.sampled_from([*range(0x02, 0x15), 0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0x77])
words = st.lists(
    st.integers(0, 64) | st.integers(0, 0xFFFFFFFF) | st.sampled_from([0x60008800, 0x600089D4]),
    max_size=8,
)


@use_fixture
@given(st.lists(st.tuples(operations, words, st.binary(max_size=40)), max_size=6), st.booleans())
def test_no_command_with_whatever_words_crashes_a_loader(bench: Bench, asked, stub) -> None:
    bench.loader = (StubLoader if stub else RomLoader)(bench.board)
    for op, numbers, rest in asked:
        body = struct.pack(f"<{len(numbers)}I", *numbers) + rest
        data = body[16:]
        frame = struct.pack("<BBHI", 0, op, len(body), checksum(data)) + body
        for reply in bench.loader.answer(frame):
            assert len(reply) <= 4 * 4096 + 8
    assert bench.flash.path.stat().st_size == SIZE


# - - - the ROM


def test_sync_is_answered_eight_times_and_says_rom_or_stub(bench: Bench) -> None:
    request = struct.pack("<BBHI", 0, 0x08, 36, 0) + SYNC
    replies = list(bench.loader.answer(request))
    assert len(replies) == 8
    assert replies[0] == bytes.fromhex("01080400 07071220 00000000")
    bench.use_stub()
    assert list(bench.loader.answer(request)) == [bytes.fromhex("01080200 00000000 0000")] * 8
    assert list(bench.loader.answer(request[:-1])) == []


def test_every_chip_says_who_it_is(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old = Bench(tmp_path / "old", "esp32")
    assert old.read_word(0x40001000) == 0x00F01D83
    assert old.status(0x14) == b"\x01\x05"
    for chip, number in (("esp32c3", 5), ("esp32s3", 9)):
        (tmp_path / chip).mkdir()
        told = Bench(tmp_path / chip, chip).ask(0x14)[1]
        assert struct.unpack_from("<IB7BII", told)[-2] == number


def test_the_mac_is_read_from_the_efuses(bench: Bench) -> None:
    high, low = bench.read_word(0x60008848), bench.read_word(0x60008844)
    assert struct.pack(">II", high, low)[2:] == MAC


def test_a_register_keeps_the_bits_that_the_mask_spares(bench: Bench) -> None:
    for value, mask in ((0x12345678, 0xFFFFFFFF), (0xFFFFFFFF, 0x0000FF00)):
        assert bench.status(0x09, struct.pack("<IIII", 0x60001000, value, mask, 0)) == b"\0\0"
    assert bench.read_word(0x60001000) == 0x1234FF78
    assert bench.status(0x0A, struct.pack("<I", 0x60001001)) == b"\x01\x06"


def test_the_rom_erases_first_and_takes_the_flash_for_2_mib(bench: Bench) -> None:
    bench.flash.write(0, b"\x00" * 0x4000)
    assert bench.status(0x02, struct.pack("<IIIII", 0x1800, 6, 0x400, 0x1000, 0)) == b"\0\0"
    assert bench.flash.read(0, 0x4000) == b"\0" * 0x1000 + b"\xff" * 0x2000 + b"\0" * 0x1000
    beyond = struct.pack("<IIIII", 0x1000, 4, 0x400, 0x200000, 0)
    assert bench.status(0x02, beyond) == b"\x01\x06"
    bench.status(0x0B, struct.pack("<IIIIII", 0, SIZE, 0x10000, 0x1000, 0x100, 0xFFFF))
    assert bench.status(0x02, beyond) == b"\0\0"
    assert bench.status(0x02, struct.pack("<IIIII", 1, 1, 0x400, SIZE, 0)) == b"\x01\x06"


def test_blocks_land_one_behind_the_other_and_the_padding_nowhere(bench: Bench) -> None:
    image = bytes(range(256)) * 5
    bench.status(0x02, struct.pack("<IIIII", len(image), 2, 0x400, 0x3000, 0))
    assert bench.block(0x03, image[:0x400]) == b"\0\0"
    assert bench.block(0x03, image[0x400:].ljust(0x400, b"\x00")) == b"\0\0"
    assert bench.flash.read(0x3000, len(image) + 4) == image + b"\xff" * 4


def test_a_block_with_a_wrong_checksum_or_length_is_refused(bench: Bench) -> None:
    body = struct.pack("<IIII", 4, 0, 0, 0) + b"abcd"
    bench.status(0x02, struct.pack("<IIIII", 4, 1, 0x400, 0, 0))
    assert bench.status(0x03, body, 0x12) == b"\x01\x07"
    assert bench.status(0x03, body + b"e", checksum(b"abcde")) == b"\x01\x05"
    bench.use_stub()
    assert bench.status(0x03, body, 0x12) == b"\x01\xc1"
    assert bench.block(0x03, b"abcd") == b"\x01\x06"  # no FLASH_BEGIN
    assert bench.flash.read(0, 4) == b"\xff" * 4


@pytest.mark.parametrize("stub", [False, True])
def test_a_deflated_image_is_inflated(bench: Bench, stub: bool) -> None:
    if stub:
        bench.use_stub()
    image = random.Random(1).randbytes(3000) * 40
    packed = zlib.compress(image, 9)
    bench.flash.write(0x8000, b"\x00" * len(image))
    body = struct.pack("<IIIII", len(image), 99, 0x400, 0x8000, 0)
    assert bench.status(0x10, body) == b"\0\0"
    for start in range(0, len(packed), 0x400):
        assert bench.block(0x11, packed[start : start + 0x400]) == b"\0\0"
    assert bench.flash.read(0x8000, len(image)) == image
    digest = bench.ask(0x13, struct.pack("<IIII", 0x8000, len(image), 0, 0))[1]
    wanted = hashlib.md5(image)
    assert digest[:-2] == wanted.digest() if stub else digest[:-4] == wanted.hexdigest().encode()


@pytest.mark.parametrize(("stub", "error"), [(False, 0x0B), (True, 0xC7)])
def test_what_is_not_deflated_is_refused(bench: Bench, stub: bool, error: int) -> None:
    if stub:
        bench.use_stub()
    bench.status(0x10, struct.pack("<IIIII", 1000, 1, 0x400, 0, 0))
    assert bench.block(0x11, b"no zlib stream") == bytes((1, error))


@pytest.mark.parametrize("stub", [False, True])
def test_a_stream_that_inflates_to_more_than_was_said_stops_there(bench: Bench, stub) -> None:
    if stub:
        bench.use_stub()
    bench.status(0x10, struct.pack("<IIIII", 100, 1, 0x400, 0, 0))
    assert bench.block(0x11, zlib.compress(b"\0" * 100_000_000)[:0x4000])[:1] == b"\x01"
    assert bench.flash.read(0x1000, 4) == b"\xff" * 4


def test_leaving_runs_the_program_or_restarts_the_loader(bench: Bench) -> None:
    for stay, happened in ((1, "run"), (0, "restart")):
        bench.status(0x04, struct.pack("<I", stay))
        assert bench.loader.after
        bench.loader.after()
        assert bench.done.pop() == happened


def test_what_was_uploaded_and_entered_is_the_stub(bench: Bench) -> None:
    assert bench.status(0x05, struct.pack("<IIII", 4, 1, 0x1800, 0x4038_0000)) == b"\0\0"
    assert bench.block(0x07, b"code") == b"\0\0"
    bench.status(0x06, struct.pack("<II", 0, 0x4038_0000))
    assert bench.loader.after
    bench.loader.after()
    assert bench.done == ["stub"]


def test_secure_download_mode_does_no_more_than_write(bench: Bench) -> None:
    bench.efuses.burn("secure download mode")
    assert bench.ask(0x14)[1][:4] == struct.pack("<I", 1 << 2)
    for op in (0x0A, 0x09, 0x13, 0x0E, 0x05, 0x06, 0x07):
        assert bench.status(op, bytes(16)) == b"\x01\x05"
    assert bench.status(0x02, struct.pack("<IIIII", 4, 1, 0x400, 0, 0)) == b"\0\0"


def test_spi_commands_reach_the_flash_chip(bench: Bench) -> None:
    base = 0x60002000

    def spi(code: int, read_bits: int = 0, address: int | None = None, data: bytes = b"") -> int:
        phases = 1 << 31 | (read_bits > 0) << 28 | bool(data) << 27 | (address is not None) << 30
        sets = [(0x18, phases), (0x20, 7 << 28 | code), (0x28, read_bits - 1)]
        sets += [(0x1C, 23 << 26), (0x04, address or 0), (0x24, 8 * len(data) - 1)]
        sets += [(0x58, int.from_bytes(data, "little")), (0x00, 1 << 18)]
        for offset, value in sets:
            word = struct.pack("<IIII", base + offset, value & 0xFFFFFFFF, 0xFFFFFFFF, 0)
            assert bench.status(0x09, word) == b"\0\0"
        assert bench.read_word(base) & 1 << 18 == 0
        return bench.read_word(base + 0x58)

    assert spi(0x9F, 24) == 0x1640EF
    assert spi(0x5A, 32, 0).to_bytes(4, "little") == b"SFDP"
    assert spi(0x35, 8) == 0x02
    spi(0x02, address=0x100, data=b"abcd")  # without write enable
    assert bench.flash.read(0x100, 4) == b"\xff" * 4
    spi(0x06)
    spi(0x02, address=0x100, data=b"abcd")
    assert spi(0x03, 32, 0x100).to_bytes(4, "little") == b"abcd"
    spi(0x06)
    spi(0x20, address=0x123)
    assert bench.flash.read(0x100, 4) == b"\xff" * 4


# - - - the stub


def test_the_stub_erases_as_it_writes(bench: Bench) -> None:
    bench.use_stub()
    bench.flash.write(0, b"\x00" * 0x4000)
    bench.status(0x02, struct.pack("<IIIII", 0x2000, 2, 0x1000, 0x1000, 0))
    assert bench.flash.read(0, 0x4000) == b"\x00" * 0x4000
    bench.block(0x03, b"new" + b"\xff" * 0xFFD)
    assert bench.flash.read(0x1000, 4) == b"new\xff"
    assert bench.flash.read(0x2000, 4) == b"\x00" * 4
    bench.block(0x03, b"\xff" * 0x1000)
    assert bench.flash.read(0x2000, 0x1001) == b"\xff" * 0x1000 + b"\x00"


def test_the_stub_sends_no_further_ahead_than_it_was_told(bench: Bench) -> None:
    bench.use_stub()
    content = random.Random(2).randbytes(0x5100)
    bench.flash.write(0x10000, content)
    request = struct.pack("<BBHIIIII", 0, 0xD2, 16, 0, 0x10000, len(content), 0x1000, 2)
    reply, *blocks = bench.loader.answer(request)
    assert reply[8:] == b"\0\0"
    assert [len(block) for block in blocks] == [0x1000, 0x1000]
    came = b"".join(blocks)
    frames = [b""]
    while len(came) < len(content):
        frames = list(bench.loader.answer(struct.pack("<I", len(came) - 0x1000)))
        came += b"".join(frames)
    (digest,) = bench.loader.answer(struct.pack("<I", len(came)))
    assert came == content
    assert digest == hashlib.md5(content).digest()


def test_the_stub_erases_regions_and_all(bench: Bench) -> None:
    bench.use_stub()
    bench.flash.write(0, b"\x00" * 0x3000)
    assert bench.status(0xD1, struct.pack("<II", 0x1000, 0x1000)) == b"\0\0"
    assert bench.flash.read(0xFFF, 0x1002) == b"\0" + b"\xff" * 0x1000 + b"\0"
    assert bench.status(0xD1, struct.pack("<II", 0x1001, 0x1000))[:1] == b"\x01"
    assert bench.status(0xD0) == b"\0\0"
    assert bench.flash.read(0, 0x3000) == b"\xff" * 0x3000
