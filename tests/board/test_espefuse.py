"""Unmodified espefuse burns into a virtual board, through the registers of its controller."""

import json
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from host_tools.errors import CommandError
from host_tools.virtual_board import farm, models
from host_tools.virtual_board.efuses import Efuses
from host_tools.virtual_board.farm import BoardSetting
from tests.board.esptool_bench import tool, written

KEY = bytes(range(1, 33))
BURN = ("--do-not-confirm", "burn-key", "BLOCK_KEY4")


@pytest.mark.parametrize("chip", ["esp32c3", "esp32s3"])
def test_a_key_is_burnt_once_hidden_and_kept(tmp_path: Path, chip: str) -> None:
    key, report = written(tmp_path, "key.bin", KEY), tmp_path / "summary.json"
    setting = BoardSetting(chip=chip, flash=tmp_path / "flash.bin")
    summary = ("summary", "--format", "json", "--file", report)
    with farm.started([setting]) as (board,):
        port = ("--port", board.urls[0])
        tool("espefuse", *port, *BURN, key, "HMAC_UP")
        tool("espefuse", *port, *summary)
        fields = json.loads(report.read_text())
        assert fields["MAC"]["value"] == "a0:b1:c2:d3:e4:f5 (OK)"
        assert fields["KEY_PURPOSE_4"]["value"] == "HMAC_UP"
        assert not fields["BLOCK_KEY4"]["readable"]
        assert not fields["BLOCK_KEY4"]["writeable"]
        assert fields["BLOCK_KEY3"]["writeable"]
    file = tmp_path / "flash.bin.efuses"
    assert file.stat().st_mode & 0o777 == 0o600
    assert KEY in file.read_bytes()
    with farm.started([setting]) as (board,):
        with pytest.raises(CalledProcessError) as caught:
            tool("espefuse", "--port", board.urls[0], *BURN, key, "HMAC_UP")
        assert "BLOCK_KEY4 is read-protected" in caught.value.output


def test_an_esp32_takes_a_custom_mac_and_a_key(tmp_path: Path) -> None:
    key = written(tmp_path, "key.bin", KEY)
    mac = ("burn-custom-mac", "aa:bb:cc:dd:ee:02", "get-custom-mac")
    with farm.started([BoardSetting(chip="esp32")]) as (board,):
        burn = ("burn-key", "flash_encryption", key)
        port = ("--port", board.urls[0], "--do-not-confirm")
        tool("espefuse", *port, *burn)
        said = tool("espefuse", *port, *mac)
    assert "Custom MAC Address version 1: aa:bb:cc:dd:ee:02 (CRC 0x9b OK)" in said


def test_secure_download_mode_begins_with_the_burning() -> None:
    with farm.started([BoardSetting()]) as (board,):
        port = ("--port", board.urls[0])
        burn = ("--do-not-confirm", "burn-efuse", "ENABLE_SECURITY_DOWNLOAD", 1)
        assert "Secure download mode is enabled" in tool("espefuse", *port, *burn)
        with pytest.raises(CalledProcessError) as caught:
            tool("esptool", *port, "read-mac")
        assert "not available in Secure Download Mode" in caught.value.output


# - - - the controller


def test_what_is_write_protected_stays() -> None:
    layout = models.get("esp32c3").efuses
    efuses = Efuses(layout, bytes(6))

    def program(block: int, *words: int) -> None:
        for index, word in enumerate(words):
            efuses.write_register(4 * index, word)
        efuses.write_register(layout.conf, 0x5A5A)
        efuses.write_register(layout.cmd, 2 | block << 2)
        efuses.write_register(layout.conf, 0x5AA5)
        efuses.write_register(layout.cmd, 1)

    program(0, 1 << 12 | 1 << 28)  # WR_DIS: KEY_PURPOSE_4, BLOCK_KEY5
    program(0, 0, 0, 0, 0xFFF)
    program(9, *[0xFFFFFFFF] * 8)
    program(8, *[0xFFFFFFFF] * 8)
    assert efuses.read_register(0x2C + 12) == 0x0FF  # purposes 2 and 3, not 4
    assert efuses.read_register(0x13C) == 0
    assert efuses.read_register(0x11C) == 0xFFFFFFFF
    program(0, 0, 1 << 4)  # RD_DIS: BLOCK_KEY4
    assert efuses.read_register(0x11C) == 0


def test_without_the_code_in_conf_nothing_is_burnt() -> None:
    layout = models.get("esp32c3").efuses
    efuses = Efuses(layout, bytes(6))
    efuses.write_register(0, 0xFFFFFFFF)
    efuses.write_register(layout.cmd, 2)
    efuses.refresh()
    assert efuses.read_register(0x2C) == 0


def test_a_file_of_another_chip_is_left_alone(tmp_path: Path) -> None:
    file = written(tmp_path, "flash.bin.efuses", b"x" * 100)
    with pytest.raises(CommandError, match="does not hold the eFuses of this chip"):
        Efuses(models.get("esp32").efuses, bytes(6), file)
    assert file.read_bytes() == b"x" * 100


def test_a_flash_of_another_board_is_not_taken(tmp_path: Path) -> None:
    setting = BoardSetting(flash=tmp_path / "flash.bin")
    layout = models.get("esp32c3").efuses
    efuses = Efuses(layout, bytes(range(6)), tmp_path / "flash.bin.efuses")
    efuses.write_register(layout.conf, 0x5A5A)
    efuses.write_register(layout.cmd, 2)
    with (
        pytest.raises(CommandError, match="of a board with MAC 00:01:02:03:04:05, not a0"),
        farm.started([setting]),
    ):
        pass
