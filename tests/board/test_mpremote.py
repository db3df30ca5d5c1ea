"""The real mpremote takes a virtual board for a real one, over each kind of line."""

import hashlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.virtual_board.farm import VirtualBoard
from tests.board.repl_bench import Console, running

NOISE = random.Random(7).randbytes(5000) + bytes(range(8)) * 40  # Ctrl-C and Ctrl-D among them
KINDS = ("rfc2217", "socket", "/dev")


@pytest.fixture(scope="module")
def board() -> Iterator[VirtualBoard]:
    with running(rfc2217=("127.0.0.1", 0), pty=True) as board:
        yield board


@pytest.fixture(params=KINDS)
def url(board: VirtualBoard, request: pytest.FixtureRequest) -> str:
    [url] = [url for url in board.urls if url.startswith(request.param)]
    return url


def mpremote(url: str, *words: str, code: int = 0) -> str:
    """Run mpremote; return what it prints. Commands are apart by "+"."""
    command = [sys.executable, "-m", "mpremote", "connect", url, *words]
    done = subprocess.run(
        command, text=True, timeout=60, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    return done.stdout


def test_all_that_people_use_it_for(board: VirtualBoard, url: str, tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(NOISE)
    (tmp_path / "back").unlink(missing_ok=True)
    script = tmp_path / "script.py"
    script.write_text("print('from the script')\n")
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "mounted.py").write_text("print('from the host')\n")
    (mount / "noise").write_bytes(NOISE)
    told = mpremote(
        url, "eval", "6 * 7", "+", "exec", "print('x' * 3)", "+", "run", str(script), "+",
        "mkdir", ":folder", "+", "cp", str(noise), ":folder/noise", "+", "ls", ":folder", "+",
        "sha256sum", ":folder/noise", "+", "cp", ":folder/noise", str(tmp_path / "back"), "+",
        "rm", ":folder/noise", "+", "rmdir", ":folder", "+", "df", "+",
        "mount", str(mount), "+", "exec", "import mounted, hashlib, os", "+",
        "eval", "hashlib.sha256(open('noise', 'rb').read()).digest() == " + repr(
            hashlib.sha256(NOISE).digest()
        ), "+", "umount", "+", "eval", "os.listdir('/')",
    )  # fmt: skip
    lines = told.splitlines()
    assert lines[:3] == ["42", "xxx", "from the script"]
    assert f"{len(NOISE):12} noise" in lines
    assert hashlib.sha256(NOISE).hexdigest() in lines
    assert "from the host" in lines
    assert {"True", "['boot.py']"} <= set(lines)  # it prints by two ways, one has a buffer
    assert (tmp_path / "back").read_bytes() == NOISE


def test_its_resets_and_what_a_script_raises(board: VirtualBoard, url: str) -> None:
    console = Console(board)
    told = mpremote(url, "soft-reset", "exec", "1/0", code=1)
    assert told.splitlines()[-1] == "ZeroDivisionError: divide by zero"
    console.wait_for(b"MPY: soft reboot\r\n")
    mpremote(url, "reset")
    console.wait_for(b"rst:0xc (RTC_SW_CPU_RST)")
    console.wait_for(b"\r\nMicroPython v")
    assert mpremote(url, "resume", "eval", "__import__('machine').reset_cause()") == "2\n"
