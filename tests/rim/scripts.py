"""Scripts on a board: MicroPython with the chip's stand-ins and the firmware's sources."""

import os
import subprocess
from pathlib import Path

from host_tools.toolchain import micropython
from host_tools.virtual_board.unix_board import UnixBoard

ROOT = Path(__file__).parents[2]
MAC = bytes.fromhex("a1b2c3d4e5f6")


def words(board: UnixBoard, script: str) -> tuple[list[str], dict[str, str]]:
    """The command that runs a script on this board in its flash, and its environment."""
    board.flash.mkdir(exist_ok=True)
    folders = ["host_tools/virtual_board/stand_ins", "firmware/examples", "firmware"]
    path = ["", *(str(ROOT / folder) for folder in folders), ".frozen"]
    environment = {**os.environ, **board.environment(), "MICROPYPATH": ":".join(path)}
    heap = ["-X", f"heapsize={board.heap}"]
    return [*micropython.interpreter(board.bits), *heap, "-c", script], environment


def printed(board: UnixBoard, script: str, cause: int = 1) -> list[str]:
    """The lines that a script prints, traceback included; the board starts for this cause."""
    board.cause = cause
    command, environment = words(board, script)
    done = subprocess.run(
        command,
        cwd=board.flash,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.splitlines()
