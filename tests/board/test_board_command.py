"""keystead board, as one types it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host_tools.serial_line import open_line
from tests.board.test_lines import synced, until


@contextmanager
def on_the_bench(*words: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "host_tools", "board", *map(str, words)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def refusal(*words: object) -> str:
    with on_the_bench(*words) as process:
        _, said = process.communicate(timeout=100)
        assert process.returncode in (1, 2)
    return said


def test_boards_say_where_they_are_and_have_buttons(tmp_path: Path) -> None:
    flash = tmp_path / "flash.bin"
    anywhere = ("--rfc2217", "127.0.0.1:0", "--pty")
    with on_the_bench("--count", 2, "--json", "--flash", flash, *anywhere) as process:
        assert process.stdin
        assert process.stdout
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        assert (first["mac"], second["mac"]) == ("a0:b1:c2:d3:e4:f5", "a0:b1:c2:d3:e4:f6")
        assert (tmp_path / "flash.bin.2").stat().st_size == 4 << 20
        with open_line(second["ports"][0], timeout=0.5) as port:
            assert not synced(port)
            process.stdin.write("boot 2\n")
            until(lambda: synced(port))
        with open_line(first["ports"][1], timeout=0.3) as port:
            assert not synced(port)
        process.stdin.write("boot 3\n")
        process.stdin.close()
        assert process.stderr
        assert process.stderr.read() == "there are reset, boot, off, on and boards 1 to 2\n"
        assert process.wait(100) == 0


def test_ctrl_c_ends_it_and_a_kept_flash_keeps_its_mac(tmp_path: Path) -> None:
    flash = ("--flash", tmp_path / "flash.bin", "--rfc2217", "127.0.0.1:0")
    with on_the_bench(*flash, "--mac", "02:00:00:00:00:07") as process:
        assert process.stdout
        assert process.stdout.readline().startswith("ESP32-C3 02:00:00:00:00:07  rfc2217://")
        process.send_signal(signal.SIGINT)
        assert process.wait(100) == 130
        assert "Traceback" not in (process.stderr.read() if process.stderr else "")


def flash_of(process: subprocess.Popen[str]) -> Path:
    assert process.stdout
    return Path(json.loads(process.stdout.readline())["flash"])


def test_a_board_that_was_killed_goes_with_its_flash_when_the_next_one_starts() -> None:
    words = ("--json", "--micropython", "--rfc2217", "127.0.0.1:0")
    with on_the_bench(*words) as alive, on_the_bench(*words) as killed:
        kept, left = flash_of(alive), flash_of(killed)
        killed.kill()
        killed.wait()
        with on_the_bench(*words) as following:
            assert flash_of(following).exists()
            until(lambda: not left.parent.exists())  # another's sweep may be at it
            assert kept.exists()
        assert not alive.poll()
    assert not kept.parent.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fault", "rain"), "'rain' is not one I know: power cut at byte N; "),
        (("--fault", "board 2: secure boot"), "there is no board 2 of 1"),
        (("--mac", "01:00"), "argument --mac: "),
        (("--mac", "ff:ff:ff:ff:ff:ff", "--count", "2"), "there is no MAC for board 2"),
        (("--rfc2217", "127.0.0.1:65535", "--count", "2"), "board 2 would be on port 65536"),
        (("--count", "0"), "is not a number from 1 to 200"),
        (("--rfc2217", "4001"), "write HOST:PORT, e.g. 127.0.0.1:4001"),
        (("--flash", "/nowhere/flash.bin"), "can not use /nowhere/flash.bin as flash: No such"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(words: tuple[str, ...], said: str) -> None:
    text = refusal(*words)
    assert said in text
    assert "Traceback" not in text
