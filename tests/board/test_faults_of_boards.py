"""What goes wrong with a virtual board goes wrong as on a real one, and can be asked for."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CalledProcessError

import pytest
from esptool import cmds
from esptool.loader import ESPLoader
from esptool.util import FatalError
from hypothesis import given
from hypothesis import strategies as st

from host_tools.errors import CommandError
from host_tools.serial_line import open_line
from host_tools.virtual_board import farm, faults
from host_tools.virtual_board.farm import BoardSetting, VirtualBoard
from host_tools.virtual_board.faults import Fault
from host_tools.virtual_board.wire import Wire
from tests.board.esptool_bench import connected, tool, written
from tests.board.test_lines import PATIENT, REPLY, REQUEST, synced, until

NOISE = random.Random(6).randbytes(60_000)
OLD = b"old "


def struck(*texts: str, **more: object) -> BoardSetting:
    return BoardSetting(faults=tuple(faults.parse(text) for text in texts), **more)  # type: ignore[arg-type]


# - - - words


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("power cut at byte 123456", Fault("cut write", 123456)),
        ("power cut in erase 3, every time", Fault("cut erase", 3, every=True)),
        ("drop byte 0x10", Fault("drop", 16)),
        ("drop byte 7 to host every time", Fault("drop", 7, to_host=True, every=True)),
        ("flip bit at 2000", Fault("flip", 2000)),
        ("flip bit 5 at 2000 to host", Fault("flip", 2000, to_host=True, bit=5)),
        ("stuck after 5000", Fault("stuck", 5000)),
        ("wrong chip esp32s3", Fault("chip", name="esp32s3")),
        ("flash size 2MB", Fault("flash size", 2 << 20)),
        ("secure boot", Fault("efuse", name="secure boot")),
        ("flash encryption", Fault("efuse", name="flash encryption")),
        ("secure download mode", Fault("efuse", name="secure download mode")),
    ],
)
def test_a_fault_is_said_in_words(text: str, fault: Fault) -> None:
    assert faults.parse(text) == fault


@pytest.mark.parametrize(
    "text",
    ["", "drop", "drop byte 0", "flip bit 8 at 1", "wrong chip esp8266", "stuck after 5 to host",
     "flash size 3MB", "drop byte 1 to host to host", "power cut at byte -1"],
)  # fmt: skip
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(CommandError):
        faults.parse(text)


@given(st.text(max_size=60))
def test_no_text_crashes_the_parser(text: str) -> None:
    try:
        faults.parse(text)
    except CommandError as error:
        assert "\n" not in str(error)


# - - - the wire


@given(st.lists(st.binary(max_size=9), max_size=20), st.integers(1, 40), st.integers(1, 40))
def test_the_very_bytes_are_dropped_and_flipped_however_they_come(parts, drop, flip) -> None:
    wire = Wire([Fault("drop", drop), Fault("flip", flip, bit=3)])
    whole = bytearray(b"".join(parts))
    if flip <= len(whole):
        whole[flip - 1] ^= 8
    if drop <= len(whole):
        del whole[drop - 1]
    assert b"".join(wire.from_host(part) for part in parts) == whole


@pytest.mark.parametrize("every", [False, True])
def test_a_fault_strikes_once_or_each_time_that_the_port_is_opened(every: bool) -> None:
    wire = Wire([Fault("drop", 2, every=every), Fault("stuck", 5, every=every)])
    for again in (False, True):
        wire.opened()
        wire.powered()
        strikes = every or not again
        assert wire.from_host(b"abcd") == (b"acd" if strikes else b"abcd")
        assert wire.from_host(b"efgh") == (b"e" if strikes else b"efgh")
        assert wire.from_chip(b"x") == (b"" if strikes else b"x")


# - - - boards


def write(board: VirtualBoard, data: bytes, attempts: int = 7) -> None:
    with connected(board.urls[0], attempts=attempts) as esp:
        cmds.write_flash(esp, [(0x10000, data)], no_compress=True, no_progress=True)


@contextmanager
def impatient() -> Iterator[None]:
    """Have esptool wait a second, not three, for the answer to a block that it sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ESPLoader.flash_block, "__defaults__", (1.0, False))
        yield


def test_a_power_cut_leaves_what_was_written_and_a_dead_chip(tmp_path) -> None:
    flash = written(tmp_path, "flash.bin", b"\xff" * 4 + OLD * 0xFFFF)
    with farm.started([struck("power cut at byte 20001", flash=flash)]) as (board,):
        with impatient(), pytest.raises(FatalError):
            write(board, NOISE)
        assert not board.powered
        assert board.flash.read(0x10000, 20004) == NOISE[:20000] + b"\xff" * 4
        assert board.flash.read(0x18000, 4) == OLD
        with pytest.raises(FatalError, match="No serial data received"):
            write(board, NOISE, attempts=1)
        board.power_on()
        write(board, NOISE)
        assert board.flash.read(0x10000, len(NOISE)) == NOISE


@pytest.mark.parametrize(
    "fault",
    [
        "drop byte 30000", "drop byte 600 to host", "flip bit 4 at 30000",
        "flip bit 0 at 600 to host", "stuck after 30000",
    ],
)  # fmt: skip
def test_what_esptool_wrote_over_a_bad_line_is_right_or_esptool_says_so(
    fault: str,
) -> None:
    with farm.started([struck(fault)]) as (board,):
        try:
            with impatient():
                write(board, NOISE)
            failed = False
        except FatalError:
            failed = True
        right = board.flash.read(0x10000, len(NOISE)) == NOISE
        assert right or failed
        assert failed or "stuck" not in fault
        board.power_off()  # what is stuck wants it
        board.power_on()
        write(board, NOISE)
        assert board.flash.read(0x10000, len(NOISE)) == NOISE


def test_a_power_cut_in_an_erase_leaves_half_a_sector() -> None:
    with farm.started([struck("power cut in erase 2")]) as (board,):
        board.flash.write(0, OLD * 0x1000)
        with pytest.raises(CalledProcessError):
            tool("esptool", "--port", board.urls[0], "erase-region", 0, 0x4000)
        assert not board.powered
        assert board.flash.read(0, 0x4000) == b"\xff" * 0x1800 + OLD * 0xA00


@pytest.mark.parametrize("fault", ["drop byte 300", "flip bit 4 at 300"])
def test_a_byte_that_is_lost_or_flipped_spoils_one_command(fault: str) -> None:
    with farm.started([struck(fault, download=True)]) as (board,):
        board.power_on()
        with open_line(board.urls[0], timeout=0.3) as port:
            good = []
            for number in range(1, 11):
                port.write(REQUEST)
                until(lambda end=number: board.wire.to_chip.total == end * len(REQUEST))
                board.power_on()  # it is on: waits until the answer has been sent
                good.append(port.read(len(REPLY) * 8) == REPLY * 8)
        assert good.count(False) in (1, 2)
        assert good[-1]


def test_a_byte_flipped_on_the_way_back_is_seen_by_the_host() -> None:
    with farm.started([struck("flip bit 0 at 3 to host", download=True)]) as (board,):
        board.power_on()
        with open_line(board.urls[0], timeout=PATIENT) as port:
            port.write(REQUEST)
            assert port.read(len(REPLY)) == REPLY[:2] + bytes((REPLY[2] ^ 1,)) + REPLY[3:]


def test_a_stuck_port_answers_again_after_power_was_off() -> None:
    with farm.started([struck("stuck after 60", download=True)]) as (board,):
        board.power_on()
        with open_line(board.urls[0], timeout=PATIENT) as port:
            assert synced(port)
            port.timeout = 0.3
            assert not synced(port)
            board.press_reset(download=True)
            assert not synced(port)
            board.power_off()
            board.power_on(download=True)
            port.timeout = PATIENT
            assert synced(port)


def test_another_chip_than_was_ordered() -> None:
    with (
        farm.started([struck("wrong chip esp32s3")]) as (board,),
        connected(board.urls[0], stub=False) as esp,
    ):
        assert esp.CHIP_NAME == "ESP32-S3"


def test_a_flash_smaller_than_was_ordered() -> None:
    with (
        farm.started([struck("flash size 2MB")]) as (board,),
        connected(board.urls[0]) as esp,
    ):
        assert cmds.detect_flash_size(esp) == "2MB"
        with pytest.raises(FatalError, match="will not fit in 2097152 bytes"):
            cmds.write_flash(esp, [(0x1F8000, NOISE)], no_progress=True)


@pytest.mark.parametrize("chip", ["esp32", "esp32c3"])
def test_what_security_was_burnt_esptool_sees(chip: str) -> None:
    setting = struck("secure boot", "flash encryption", chip=chip)
    with farm.started([setting]) as (board,), connected(board.urls[0], stub=False) as esp:
        assert esp.get_secure_boot_enabled()
        assert esp.get_flash_encryption_enabled()
        with pytest.raises(FatalError, match="Active security features detected"):
            cmds.erase_region(esp, 0x10000, 0x1000)


def test_a_secure_s3_starts_the_stub_by_its_own_way() -> None:
    setting = struck("secure boot", chip="esp32s3")
    with farm.started([setting]) as (board,), connected(board.urls[0]) as esp:
        assert esp.IS_STUB
        assert cmds.detect_flash_size(esp) == "4MB"


def test_a_board_in_secure_download_mode_tells_nothing() -> None:
    with farm.started([struck("secure download mode")]) as (board,):
        with pytest.raises(CalledProcessError) as caught:
            tool("esptool", "--port", board.urls[0], "read-flash", 0, 16, "-")
        assert "not available in Secure Download Mode" in caught.value.output


@pytest.mark.parametrize(
    ("fault", "said"),
    [("secure boot", b"secure boot verification failed"), ("flash encryption", b"invalid header")],
)
def test_a_secured_chip_does_not_run_what_is_there_in_plain(fault: str, said: bytes) -> None:
    with farm.started([struck(fault, micropython=True)]) as (board,):
        console: list[bytes] = []
        board.console(console.append)
        board.press_reset()
        assert said in b"".join(console)
        assert b"MicroPython" not in b"".join(console)


def test_an_esp32_has_no_secure_download_mode() -> None:
    with (
        pytest.raises(CommandError, match="this chip has no secure download mode"),
        farm.started([struck("secure download mode", chip="esp32")]),
    ):
        pass
