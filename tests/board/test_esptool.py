"""Unmodified esptool takes a virtual board for a real one."""

import random
import subprocess
from pathlib import Path

import pytest
from esptool import cmds
from esptool.util import FatalError

from host_tools.virtual_board import farm
from host_tools.virtual_board.farm import BoardSetting
from tests.board.esptool_bench import connected, tool, written

NOISE = random.Random(5).randbytes(50_001)
TEXT = b"the same again and again " * 20_000
MACS = {"esp32": "24:0a:c4:00:01:10", "esp32c3": "7c:df:a1:00:01:10", "esp32s3": "f4:12:fa:0:1:10"}


@pytest.mark.parametrize("chip", ["esp32", "esp32c3", "esp32s3"])
@pytest.mark.parametrize("stub", [True, False], ids=["stub", "rom"])
def test_it_writes_verifies_and_reads_back(chip: str, stub: bool) -> None:
    mac = bytes(int(byte, 16) for byte in MACS[chip].split(":"))
    setting = BoardSetting(chip=chip, mac=mac)
    with farm.started([setting]) as (board,), connected(board.urls[0], stub) as esp:
        assert esp.CHIP_NAME.lower().replace("-", "") == chip
        assert bytes(esp.read_mac("BASE_MAC")) == mac
        assert cmds.detect_flash_size(esp) == "4MB"
        assert esp.get_crystal_freq() == 40
        esp.change_baud(460800)
        parts = [(0x10000, TEXT), (0x210000, NOISE)]
        cmds.write_flash(esp, parts, compress=True, no_progress=True)
        cmds.write_flash(esp, [(0x300000, NOISE)], no_compress=True, no_progress=True)
        cmds.verify_flash(esp, [*parts, (0x300000, NOISE)])
        assert cmds.read_flash(esp, 0x210000, 5000, no_progress=True) == NOISE[:5000]
        cmds.erase_region(esp, 0x211000, 0x1000)
        assert (
            board.flash.read(0x210FFF, 0x1002)
            == NOISE[0xFFF:0x1000] + b"\xff" * 0x1000 + (NOISE[0x2000:0x2001])
        )
        with pytest.raises(FatalError, match="Verification failed"):
            cmds.verify_flash(esp, [(0x210000, NOISE)])
        if stub:
            cmds.erase_flash(esp)
            assert board.flash.read(0, 1 << 20) == b"\xff" * (1 << 20)


def test_the_command_as_it_is_resets_it_over_rfc2217() -> None:
    with farm.started([BoardSetting()]) as (board,):
        said: list[bytes] = []
        board.console(said.append)
        output = tool("esptool", "--port", board.urls[0], "--no-stub", "read-mac", fast=False)
        assert "ESP32-C3 (QFN32) (revision v0.4)" in output
        assert "MAC:                a0:b1:c2:d3:e4:f5" in output
    boots = [line for line in b"".join(said).splitlines() if line.startswith(b"rst:")]
    assert any(b"DOWNLOAD" in line for line in boots)
    assert b"SPI_FAST_FLASH_BOOT" in boots[-1]


def test_a_terminal_has_no_reset_lines_but_a_button_held_at_power_on(tmp_path: Path) -> None:
    file = written(tmp_path, "noise.bin", NOISE)
    with farm.started([BoardSetting(rfc2217=None, pty=True, download=True)]) as (board,):
        options = ["--port", board.urls[0], "--before", "no-reset", "--after", "no-reset"]
        tool("esptool", *options, "--baud", 921600, "write-flash", "0x10000", file, fast=False)
        assert board.flash.read(0x10000, len(NOISE)) == NOISE


def test_a_socket_has_neither_lines_nor_rates() -> None:
    setting = BoardSetting(rfc2217=None, socket=("127.0.0.1", 0))
    with farm.started([setting]) as (board,):
        with pytest.raises(FatalError, match=r"No serial data received|Invalid head of packet"):
            connected(board.urls[0], attempts=1).__enter__()  # it runs its program
        board.press_reset(download=True)
        with connected(board.urls[0]) as esp:
            cmds.write_flash(esp, [(0x10000, TEXT)], no_progress=True)
        assert board.flash.read(0x10000, len(TEXT)) == TEXT


def test_a_stub_that_still_runs_is_found_and_left(tmp_path: Path) -> None:
    with farm.started([BoardSetting()]) as (board,):
        port = ("--port", board.urls[0])
        tool("esptool", *port, "--after", "no-reset-stub", "flash-id")
        again = tool("esptool", *port, "--before", "no-reset", "--after", "no-reset", "flash-id")
        assert "Stub flasher is already running" in again
        # --after no-reset restarted the chip with its pins as they were: into the ROM
        rom = tool(
            "esptool", *port, "--before", "no-reset", "--after", "watchdog-reset", "chip-id"
        )
        assert "Uploading stub flasher" in rom
        with pytest.raises(subprocess.CalledProcessError):
            tool("esptool", *port, "--before", "no-reset", "--connect-attempts", 1, "chip-id")


def test_a_chip_of_another_kind_is_refused() -> None:
    with farm.started([BoardSetting(chip="esp32s3")]) as (board,):
        with pytest.raises(subprocess.CalledProcessError) as caught:
            tool("esptool", "--port", board.urls[0], "--chip", "esp32c3", "chip-id")
        assert "This chip is ESP32-S3, not ESP32-C3" in caught.value.output
