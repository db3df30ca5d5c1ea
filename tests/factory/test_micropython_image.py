"""MicroPython's image: pinned by its SHA-256, and what it says of itself."""

import argparse
import hashlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from esptool.bin_image import LoadFirmwareImage
from hypothesis import given
from hypothesis import strategies as st

import keystead
from host_tools import boards, cli
from host_tools.boards import CHIPS, Board
from host_tools.errors import CommandError
from host_tools.images import app_image, esp_image, micropython_image, partitions
from host_tools.images.esp_image import Segment
from host_tools.images.stand_in import PROJECT, stand_in_image
from host_tools.toolchain import micropython

MIB = 1 << 20
HASH_FLAG = 23  # the header's byte that says whether a SHA-256 is behind the image


def board(pinned: bytes = b"") -> Board:
    one = boards.get("ESP32_GENERIC_C3")
    return replace(one, pin=replace(one.pin, sha256=hashlib.sha256(pinned).hexdigest()))


def app(chip: str = "esp32c3") -> bytes:
    offset = 0x1000 if chip == "esp32" else 0
    return stand_in_image(chip, 4 * MIB)[0x10000 - offset :]


@pytest.mark.parametrize("chip", CHIPS)
def test_esptool_takes_every_part_of_the_stand_in(chip: str) -> None:
    for data in (app(chip), stand_in_image(chip, 4 * MIB)):
        image = LoadFirmwareImage(chip, data)
        assert image.checksum == image.calculate_checksum()
        assert image.stored_digest == image.calc_digest
        assert image.chip_id == image.ROM_LOADER.IMAGE_CHIP_ID
        [segment] = image.segments
        assert any("DROM" in name or "IRAM" in name for name in segment.get_memory_type(image))


def test_esptools_image_info_tells_the_stand_ins_project(tmp_path: Path) -> None:
    file = tmp_path / "app.bin"
    file.write_bytes(app())
    command = [sys.executable, "-m", "esptool", "image-info", str(file)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"Project name: {PROJECT}" in told
    assert f"App version: {keystead.__version__}" in told
    assert told.count("(valid)") == 2


def test_the_stand_in_is_the_same_each_time() -> None:
    assert stand_in_image("esp32", 4 * MIB) == stand_in_image("esp32", 4 * MIB)
    long = stand_in_image("esp32c3", 4 * MIB, MIB)
    assert MIB < len(long) - 0x10000 < MIB + 200


@pytest.mark.parametrize("name", boards.names())
def test_an_image_says_what_it_is(name: str) -> None:
    one = boards.get(name)
    data = stand_in_image(one.chip, 4 * MIB)
    said = app_image.describe(data, one, partitions.layout(data, one, 4 * MIB))
    assert (said.chip, said.project, said.version) == (one.chip, PROJECT, keystead.__version__)
    assert len(said.elf_sha256) == 64
    assert said.micropython == ""


def image_with(first: bytes) -> bytes:
    padded = first.ljust(-len(first) % 4 + len(first), b"\0")
    return esp_image.build("esp32c3", 4 * MIB, 0x40380000, [Segment(0x3C000020, padded)])


def test_the_version_of_a_stock_image_is_its_banners() -> None:
    # its sdkconfig.base leaves project and version of the description empty
    empty = app_image.pack("", "", "v5.4.2", bytes(32))
    banner = b"\x003.4.0; MicroPython v1.26.1 on 2025-09-11\0Generic ESP32C3 module\0"
    said = app_image.read(image_with(empty + banner))
    assert (said.project, said.version, said.idf) == ("", "", "v5.4.2")
    assert said.micropython == "v1.26.1"
    preview = banner.replace(b"v1.26.1", b"v1.27.0-preview.12.gabcdef012")
    assert app_image.read(image_with(preview)).micropython == "v1.27.0-preview.12.gabcdef012"


def test_a_real_micropython_has_that_banner() -> None:
    command = micropython.interpreter(64)
    binary = next(word for word in reversed(command) if word.endswith("micropython"))
    found = app_image.banner(Path(binary).read_bytes())
    ask = [*command, "-c", "import sys; print(sys.version)"]
    told = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    assert found
    assert f"MicroPython {found} on " in told


def test_what_the_terminal_would_obey_is_not_told() -> None:
    said = app_image.read(image_with(app_image.pack("\x1b[2Jx", "1\n", "", bytes(32))))
    assert said.project == "\N{REPLACEMENT CHARACTER}[2Jx"
    assert said.version == "1\N{REPLACEMENT CHARACTER}"


@given(st.integers(0, len(app()) - 1), st.integers(1, 255))
def test_no_changed_byte_of_an_image_goes_unseen(place: int, change: int) -> None:
    data = bytearray(app())
    data[place] ^= change
    if place == HASH_FLAG:  # without a hash there is still the checksum, of the data only
        return
    with pytest.raises(CommandError):
        esp_image.parse(bytes(data))


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: app()[:64] + tail))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(CommandError):
        app_image.read(data)


@given(st.lists(st.binary(max_size=90).map(lambda data: data[: len(data) // 4 * 4]), min_size=1,
                max_size=16))  # fmt: skip
def test_what_is_built_is_read(datas: list[bytes]) -> None:
    segments = tuple(Segment(0x3FC80000 + 4096 * number, one) for number, one in enumerate(datas))
    built = esp_image.build("esp32s3", 8 * MIB, 0x40380000, segments)
    found = esp_image.parse(built + b"behind")
    assert (found.chip, found.flash_size, found.segments) == ("esp32s3", 8 * MIB, segments)
    assert found.size == len(built)


def test_an_application_for_another_chip_behind_the_right_bootloader_is_refused() -> None:
    mixed = stand_in_image("esp32c3", 4 * MIB)[:0x10000] + app("esp32s3")
    with pytest.raises(CommandError, match="application is for esp32s3"):
        app_image.describe(mixed, board(), partitions.layout(mixed, board(), 4 * MIB))
    nothing = stand_in_image("esp32c3", 4 * MIB)[:0x10000] + bytes(99)
    with pytest.raises(CommandError, match="no application at 0x10000"):
        app_image.describe(nothing, board(), partitions.layout(nothing, board(), 4 * MIB))


def test_the_pinned_image_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(b"the image")
    assert micropython_image.load(board(b"the image"), file) == b"the image"


def test_another_image_is_told_with_its_sha256_and_taken_if_that_is_given(tmp_path: Path) -> None:
    file = tmp_path / "own.bin"
    file.write_bytes(b"own build")
    digest = hashlib.sha256(b"own build").hexdigest()
    with pytest.raises(CommandError, match=f"--sha256 {digest}") as refused:
        micropython_image.load(board(), file)
    assert "ESP32_GENERIC_C3-20260406-v1.28.0.bin" in str(refused.value)
    assert micropython_image.load(board(), file, digest.upper()) == b"own build"
    with pytest.raises(CommandError, match=f"has SHA-256 {digest}, not the one"):
        micropython_image.load(board(), file, "0" * 64)


@pytest.mark.parametrize(
    ("sha256", "told"),
    [("abc", "64 hex digits"), ("g" * 64, "64 hex digits"), ("0" * 64, "--micropython")],
)
def test_a_sha256_that_can_not_be_one_is_refused(sha256: str, told: str) -> None:
    with pytest.raises(CommandError, match=told):
        micropython_image.load(board(), None, sha256)


def test_a_file_that_can_not_be_an_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"can not read .*: No such file"):
        micropython_image.load(board(), tmp_path / "absent")
    with pytest.raises(CommandError, match="Is a directory"):
        micropython_image.load(board(), tmp_path)
    with open(tmp_path / "huge", "wb") as huge:
        huge.truncate(33 * MIB)
    with pytest.raises(CommandError, match="larger than any flash"):
        micropython_image.load(board(), tmp_path / "huge")


@pytest.mark.skipif(importlib.util.find_spec("mpflash") is not None, reason="mpflash is here")
def test_without_mpflash_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYSTEAD_TOOLCHAIN", str(tmp_path))
    with pytest.raises(CommandError, match=r"keystead\[images\]"):
        micropython_image.load(board())


_MPFLASH = """
import json, os, pathlib
pathlib.Path(os.environ["MPFLASH_FIRMWARE"], "seen").write_text(json.dumps(dict(os.environ)))
print("\N{CROSS MARK} no network here")
"""


@pytest.mark.parametrize("source", [(), ("--key-source", "env:MILL_KEY")])
def test_whoever_fetches_gets_no_secret_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    source: tuple[str, ...],
) -> None:  # fmt: skip
    (tmp_path / "mpflash").mkdir()
    (tmp_path / "mpflash" / "__init__.py").touch()
    (tmp_path / "mpflash" / "cli_main.py").write_text(_MPFLASH)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("KEYSTEAD_TOOLCHAIN", str(tmp_path))
    for name in ("GROUP_KEY", "PIN", "DEVICE_KEY", "LEDGER"):  # the last may have a password
        monkeypatch.setenv(f"KEYSTEAD_{name}", "a canary")
    monkeypatch.setenv("MILL_KEY", "a canary")
    words = ["image", "--board", board().name, "--dry-run", *source]
    assert cli.main(words) == 1
    assert "did not bring" in capsys.readouterr().err
    seen = json.loads((tmp_path / "images" / "seen").read_text())
    kept = [name for name, text in seen.items() if text == "a canary"]
    assert kept == ([] if source else ["MILL_KEY"])  # which nobody said is a secret
    assert seen["PATH"]


def test_what_was_fetched_is_kept_but_only_if_it_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYSTEAD_TOOLCHAIN", str(tmp_path))
    file = tmp_path / "images" / "esp32" / board().pin.image
    file.parent.mkdir(parents=True)
    file.write_bytes(b"fetched")
    assert micropython_image.load(board(b"fetched")) == b"fetched"
    with pytest.raises(CommandError, match="it is removed"):
        micropython_image.load(board(b"another"))
    assert not file.exists()


@pytest.mark.parametrize(("text", "size"), [("4MB", 4), ("16mib", 16), ("2M", 2), ("8 MB", 8)])
def test_a_flash_size_is_read(text: str, size: int) -> None:
    assert micropython_image.flash_size(text) == size * MIB


@pytest.mark.parametrize("text", ["", "4", "3MB", "4KB", "-4MB", "64MB", "4 gigabytes"])
def test_a_flash_size_that_no_board_has_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 2MB"):
        micropython_image.flash_size(text)
