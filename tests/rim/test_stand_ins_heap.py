"""What stands in for the chip gets a heap of its own: no more of it than it takes."""

import subprocess
from pathlib import Path

import pytest

from host_tools.virtual_board import unix_board
from host_tools.virtual_board.unix_board import UnixBoard

CODE = """
import gc
gc.collect()
before = gc.mem_alloc()
import time, select, socket, machine, network, esp32, time_server, errno
import lwip  # which socket loads to look up a name
raw = socket.socket()
raw.ioctl(3, 1)  # so asks TLS
gc.collect()
print(gc.mem_alloc() - before)
"""


@pytest.mark.parametrize("bits", [32, 64])
def test_a_boards_heap_makes_up_for_what_stands_in_for_its_rom(tmp_path: Path, bits: int) -> None:
    board = UnixBoard(tmp_path, bytes(6), bits=bits)
    board.install({})
    taken = subprocess.run(
        [*board.command()[:-1], CODE],
        cwd=board.flash,
        env=board.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    given = unix_board._STAND_INS_HEAP[board.bits]
    assert 0.8 * given < int(taken.stdout) <= 1.1 * given
