"""Flash: what is read after a power cut, of a full partition, of a damaged slot; and its wear."""

from pathlib import Path

import pytest

from host_tools.virtual_board.unix_board import UnixBoard
from keystead import slot
from tests.rim.scripts import MAC, printed

HERE = Path(__file__).parent


@pytest.fixture(params=[64, 32])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> UnixBoard:
    return UnixBoard(tmp_path, MAC, request.param)


def told(board: UnixBoard, *lines: str) -> list[str]:
    """What lines of Python print on this board, without the log's seconds."""
    script = "\n".join(["from rim import flash", *lines])
    said = printed(board, script)
    return [line.partition("] ")[2] if line.startswith("[ ") else line for line in said]


def writes(board: UnixBoard) -> list[str]:
    """The keys that were written, write by write."""
    return [line.split()[0] for line in (board.folder / "nvs" / "writes").read_text().splitlines()]


def test_a_value_is_there_after_a_reset_in_slots_that_take_turns(board: UnixBoard) -> None:
    assert told(board, "print(flash.load('hub'))") == ["None"]
    for value in ("one", "two", "three"):
        assert told(board, f"print(flash.save('hub', b'{value}'))") == ["True"]
        assert told(board, "print(flash.load('hub'))") == [f"b'{value}'"]
    assert writes(board) == [f"keystead/hub{number}.blob" for number in (0, 1, 0)]


def test_the_same_value_again_does_not_wear_the_flash(board: UnixBoard) -> None:
    told(board, "for _ in range(9): flash.save('hub', b'same')")
    told(board, "for _ in range(9): flash.store_failure(34)", "flash.save('hub', b'same')")
    assert writes(board) == ["keystead/hub0.blob", "keystead/failure.i32"]


@pytest.mark.parametrize(("cut", "left"), [(-1, "None"), (1, "0"), (-3, "1"), (3, "2"), (4, "3")])
def test_power_that_goes_at_a_write_leaves_the_old_value_or_the_new(
    tmp_path: Path, cut: int, left: str
) -> None:
    board = UnixBoard(tmp_path, MAC, 32, cut=cut)
    count = "for n in range(9):\n    flash.save('hub', str(n).encode())\n    print(n)"
    said = told(board, count)
    assert said == [str(number) for number in range(abs(cut) - 1)]
    board.cut = 0
    kept = left if left == "None" else f"b'{left}'"
    assert told(board, "print(flash.load('hub'))") == [kept]
    assert told(board, count)[-1] == "8"
    assert told(board, "print(flash.load('hub'))") == ["b'8'"]


def test_a_damaged_slot_falls_back_on_the_other(board: UnixBoard) -> None:
    told(board, "flash.save('hub', b'old')", "flash.save('hub', b'new')")
    new = board.folder / "nvs" / "keystead" / "hub1.blob"
    whole = new.read_bytes()
    for damaged in (whole[:-1], whole[:7], b"", whole[:8] + b"?" + whole[9:], b"\xff" * 3000):
        new.write_bytes(damaged)
        assert told(board, "print(flash.load('hub'))") == ["b'old'"]
    assert told(board, "print(flash.save('hub', b'next'), flash.load('hub'))") == ["True b'next'"]
    assert new.read_bytes() == slot.pack(2, b"next")


def test_a_full_partition_keeps_the_old_value_and_says_so(board: UnixBoard) -> None:
    board.write_nvs("ballast", bytes(11_000))
    lines = ["print(flash.save('hub', b'old'))", "print(flash.save('hub', bytes(1500)))"]
    assert told(board, *lines, "print(flash.load('hub'))") == [
        "True",
        "NVS does not keep hub1 (-4357)",
        "False",
        "b'old'",
    ]
    board.write_nvs("ballast", bytes(12_200))
    lines = ["flash.store_failure(34)", "print(flash.last_failure())"]
    assert told(board, *lines) == ["NVS does not keep failure (-4357)", "0"]


def test_a_value_too_long_to_be_read_back_is_not_said_to_be_kept(board: UnixBoard) -> None:
    lines = ["flash.save('hub', b'old')", "print(flash.save('hub', bytes(3000)))"]
    assert told(board, *lines, "print(flash.load('hub'))") == ["False", "b'old'"]


@pytest.mark.parametrize("bits", [64, 32])
def test_a_rotation_of_keys_outlives_a_power_cut_at_every_write(bits: int, tmp_path: Path) -> None:
    board = UnixBoard(tmp_path, MAC, bits, heap="1m")
    script = (HERE / "power_cuts.py").read_text()
    assert told(board, script) == (HERE / "power_cuts.txt").read_text().splitlines()
