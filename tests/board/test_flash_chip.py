from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.errors import CommandError
from host_tools.virtual_board.flash_chip import SECTOR, FlashChip, PowerCut

SIZE = 16 * SECTOR
anywhere = st.integers(0, SIZE - 1)
writes = st.tuples(st.just("write"), anywhere, st.binary(min_size=1, max_size=300))
erases = st.tuples(st.just("erase"), st.integers(0, 15), st.integers(1, 16))


@pytest.fixture
def chip(tmp_path: Path):
    chip = FlashChip(tmp_path / "flash.bin", SIZE)
    yield chip
    chip.close()


def test_a_new_flash_is_blank(chip: FlashChip) -> None:
    assert chip.read(0, SIZE) == b"\xff" * SIZE
    assert chip.path.stat().st_size == SIZE


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=50,
)
@given(st.lists(writes | erases, max_size=12))
def test_it_keeps_what_nor_flash_keeps(chip: FlashChip, steps) -> None:
    chip.erase(0, SIZE)
    kept = bytearray(b"\xff" * SIZE)
    for what, where, detail in steps:
        if what == "write":
            data = detail[: SIZE - where]
            chip.write(where, data)
            for index, byte in enumerate(data, where):
                kept[index] &= byte
        else:
            end = min(where + detail, 16)
            chip.erase(where * SECTOR, (end - where) * SECTOR)
            kept[where * SECTOR : end * SECTOR] = b"\xff" * (end - where) * SECTOR
    assert chip.read(0, SIZE) == kept


@pytest.mark.parametrize(("offset", "n"), [(-1, 4), (SIZE, 1), (SIZE - 1, 2), (0, -1)])
def test_there_is_nothing_beyond_its_ends(chip: FlashChip, offset: int, n: int) -> None:
    with pytest.raises(ValueError, match="not within"):
        chip.read(offset, n)


@pytest.mark.parametrize(("offset", "n"), [(1, SECTOR), (0, 100), (0, 17 * SECTOR)])
def test_only_whole_sectors_are_erased(chip: FlashChip, offset: int, n: int) -> None:
    with pytest.raises(ValueError, match=r"sectors|within"):
        chip.erase(offset, n)


def test_it_is_what_its_file_holds(tmp_path: Path) -> None:
    file = tmp_path / "flash.bin"
    file.write_bytes(b"\xe9\x02\x03")
    first = FlashChip(file, SIZE)
    first.write(8, b"abc")
    first.close()
    second = FlashChip(file, SIZE)
    assert second.read(0, 12) == b"\xe9\x02\x03" + b"\xff" * 5 + b"abc\xff"
    second.close()


def test_a_file_larger_than_the_flash_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "flash.bin"
    file.write_bytes(b"x" * (SIZE + 1))
    with pytest.raises(CommandError, match="more than a flash of 65536"):
        FlashChip(file, SIZE)
    assert file.stat().st_size == SIZE + 1


def test_a_file_that_is_no_flash_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b"{}")
    with pytest.raises(CommandError, match="is no flash"):
        FlashChip(file, SIZE)
    assert file.read_bytes() == b"{}"


def test_a_whole_flash_may_begin_with_anything(tmp_path: Path) -> None:
    file = tmp_path / "encrypted.bin"
    file.write_bytes(b"\x55" * SIZE)
    chip = FlashChip(file, SIZE)
    assert chip.read(0, 2) == b"\x55\x55"
    chip.close()


def test_a_file_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"can not use .*No such file"):
        FlashChip(tmp_path / "absent" / "flash.bin", SIZE)


def test_power_fails_at_the_very_byte(chip: FlashChip) -> None:
    said: list[str] = []
    chip.power_cut = lambda: said.append("dark")
    chip.bytes_left = 5
    chip.write(0, b"\x00" * 3)
    with pytest.raises(PowerCut):
        chip.write(100, b"\x00" * 3)
    assert said == ["dark"]
    assert chip.read(0, 4) == b"\x00\x00\x00\xff"
    assert chip.read(100, 3) == b"\x00\x00\xff"
    chip.write(102, b"\x00")  # once


def test_power_fails_in_the_middle_of_an_erase(chip: FlashChip) -> None:
    chip.write(0, b"\x00" * 3 * SECTOR)
    chip.sectors_left = 1
    with pytest.raises(PowerCut):
        chip.erase(0, 3 * SECTOR)
    left = chip.read(0, 3 * SECTOR)
    assert left == b"\xff" * (SECTOR + SECTOR // 2) + b"\x00" * (SECTOR + SECTOR // 2)
