"""The boards: what boards/ says of each, and what a wrong description is told."""

from pathlib import Path

import pytest

from host_tools import boards, firmware
from host_tools.boards import Region
from host_tools.errors import CommandError

GOOD = """
chip = "esp32c3"
flash_offset = 0
[nvs]
offset = 0x9000
size = 0x6000
[micropython]
version = "1.28.0"
image = "X.bin"
bytes = 1
sha256 = "00"
confirmed = false
"""


def test_every_folder_of_boards_is_a_board() -> None:
    folders = sorted(path.name for path in boards.folder().iterdir() if path.is_dir())
    assert boards.names() == folders == ["ESP32_GENERIC", "ESP32_GENERIC_C3", "ESP32_GENERIC_S3"]


@pytest.mark.parametrize("name", boards.names())
def test_a_board_has_what_the_line_needs(name: str) -> None:
    board = boards.get(name)
    # where each chip's ROM looks for a bootloader
    assert board.flash_offset == {"esp32": 0x1000, "esp32c3": 0, "esp32s3": 0}[board.chip]
    assert board.nvs == Region(0x9000, 0x6000)
    assert board.pin.image.startswith(f"{name}-")
    assert board.pin.image.endswith(f"-v{board.pin.version}.bin")
    assert len(bytes.fromhex(board.pin.sha256)) == 32
    assert (board.modules / "board.py").is_file()


def test_firmware_and_boards_lie_in_one_tree() -> None:
    # a board's manifest.py includes ../../firmware/manifest.py
    assert firmware.source().parent == boards.folder().parent
    for name in boards.names():
        text = (boards.folder() / name / "manifest.py").read_text()
        assert 'include("../../firmware/manifest.py")' in text


@pytest.mark.parametrize("name", ["", "ESP32", "../boards/ESP32_GENERIC", "esp32_generic"])
def test_an_unknown_board_is_told_which_there_are(name: str) -> None:
    with pytest.raises(CommandError, match="there are ESP32_GENERIC, ESP32_GENERIC_C3"):
        boards.get(name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace('chip = "esp32c3"', ""), "'chip' is missing"),
        (GOOD.replace("esp32c3", "esp8266"), "no chip 'esp8266'"),
        (GOOD.replace("size", "length"), "not a board's description"),
        ("chip =", "not a board's description"),
    ],
)
def test_a_wrong_description_is_told_apart(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "board.toml"
    file.write_text(text)
    with pytest.raises(CommandError, match=told):
        boards.read(file)


def test_a_description_of_your_own_is_read(tmp_path: Path) -> None:
    file = tmp_path / "MINE" / "board.toml"
    file.parent.mkdir()
    file.write_text(GOOD)
    assert boards.read(file).name == "MINE"
    assert boards.read(file).nvs.end == 0xF000
