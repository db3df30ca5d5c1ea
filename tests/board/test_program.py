"""What runs on a virtual board after a reset is MicroPython, from the flash and in it."""

import asyncio
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools import nvs
from host_tools.boards import Region
from host_tools.errors import CommandError
from host_tools.images import filesystem
from host_tools.repl import Raised, Repl
from host_tools.virtual_board import program
from host_tools.virtual_board.farm import VirtualBoard
from tests.board.repl_bench import NVS, VFS, Console, image, repl_of, running

TICKING = b"""\
import machine, time
print("started by", machine.reset_cause(), machine.RTC().memory())
while True:
    time.sleep(0.02)
"""
REGION = Region(NVS, 0x6000)


@pytest.fixture(scope="module")
def board() -> Iterator[VirtualBoard]:
    with running() as board:
        yield board


@pytest.fixture
def repl(board: VirtualBoard) -> Iterator[Repl]:
    with repl_of(board) as repl:
        yield repl


def filesystem_of(board: VirtualBoard) -> dict[str, bytes]:
    return filesystem.read(board.flash.read(VFS, board.flash.size - VFS))


def flash(folder: Path, files: dict[str, bytes], size: int = 4 << 20) -> Path:
    """A flash file with MicroPython and these files."""
    file = folder / "flash.bin"
    content = filesystem.of_files(files, size - VFS)
    file.write_bytes(image().ljust(VFS, b"\xff") + content)
    return file


def test_a_blank_flash_has_nothing_to_run() -> None:
    with running(micropython=False) as board:
        console = Console(board)
        console.wait_for(b"invalid header: 0xffffffff\r\n")
        console.wait_for(b"invalid header: 0xffffffff\r\n")


def test_a_damaged_partition_table_leaves_nothing_to_run(tmp_path: Path) -> None:
    file = flash(tmp_path, {})
    content = bytearray(file.read_bytes())
    content[0x8000] ^= 1
    file.write_bytes(content)
    with running(micropython=False, flash=file) as board:
        Console(board).wait_for(b"Failed to verify partition table")


def test_a_corrupt_filesystem_is_not_formatted(tmp_path: Path) -> None:
    file = flash(tmp_path, {})
    content = bytearray(file.read_bytes())
    content[VFS : VFS + 8192] = b"\x55" * 8192
    file.write_bytes(content)
    with running(micropython=False, flash=file) as board:
        Console(board).wait_for(b"The filesystem appears to be corrupted")
    assert file.read_bytes() == content


def test_the_first_start_formats_and_puts_a_boot_py_there(board: VirtualBoard, repl: Repl) -> None:
    assert b"#webrepl.start()" in filesystem_of(board)["boot.py"]


def test_what_is_written_on_the_board_is_in_its_flash(board: VirtualBoard, repl: Repl) -> None:
    data = hashlib.sha256(b"any").digest() * 200
    repl.exec("import os; os.mkdir('/folder'); open('/folder/kept', 'w').close()")
    repl.put("/folder/file", data)
    assert filesystem_of(board)["folder/file"] == data
    assert repl.evaluate("os.stat('/folder/file')[6]") == len(data)
    before = repl.evaluate("os.statvfs('/')")
    repl.exec("os.remove('/folder/file')")
    after = repl.evaluate("os.statvfs('/')")
    assert isinstance(before, tuple)
    assert isinstance(after, tuple)
    assert before[:3] == after[:3] == (4096, 4096, 512)
    assert after[3] - before[3] >= len(data) // 4096


def test_the_root_shows_what_is_on_the_board_only(board: VirtualBoard, repl: Repl) -> None:
    names = repl.evaluate("__import__('os').listdir('/')")
    assert names == [entry[0] for entry in repl.evaluate("list(__import__('os').ilistdir())")]  # type: ignore[attr-defined]
    assert set(names) == {path.partition("/")[0] for path in filesystem_of(board)}
    assert repl.evaluate("[where for disk, where in __import__('vfs').mount()]") == ["/"]


def test_it_says_it_is_the_board_that_it_is(repl: Repl) -> None:
    code = "tuple(sys.implementation)[2:], sys.platform, sys.implementation._mpy & 0xFF"
    repl.exec("import sys, machine, os")
    machine, _, build = repl.evaluate(code)[0]  # type: ignore[index]
    assert (machine, build) == ("ESP32C3 module with ESP32C3", "ESP32_GENERIC_C3")
    assert repl.evaluate(code)[1:] == ("esp32", 6)  # type: ignore[index]
    assert repl.evaluate("machine.unique_id()") == bytes.fromhex("a0b1c2d3e4f5")
    assert repl.evaluate("os.uname()[0]") == "esp32"


def test_nvs_is_the_partition_in_flash(board: VirtualBoard, repl: Repl) -> None:
    blob = bytes(range(256)) * 3
    repl.exec("import esp32\nn = esp32.NVS('mine')\nn.set_i32('number', -7)")
    repl.exec(f"n.set_blob('blob', {blob!r})\nn.commit()")
    kept = nvs.read(board.flash.read(REGION.offset, REGION.size))
    assert (kept[("mine", "number")], kept[("mine", "blob")]) == (-7, blob)
    assert repl.evaluate("n.get_i32('number')") == -7
    repl.exec("b = bytearray(1000)")
    assert repl.evaluate("n.get_blob('blob', b), bytes(b[:768]), b[768]") == (768, blob, 0)
    repl.exec("n.erase_key('number')")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("get_i32('none')", "-4354, 'ESP_ERR_NVS_NOT_FOUND'"),
        ("get_blob('blob', bytearray(767))", "-4364, 'ESP_ERR_NVS_INVALID_LENGTH'"),
        ("set_i32('sixteen character', 1)", "-4361, 'ESP_ERR_NVS_KEY_TOO_LONG'"),
        ("set_blob('large', bytes(20000))", "-4357, 'ESP_ERR_NVS_NOT_ENOUGH_SPACE'"),
    ],
)
def test_nvs_refuses_as_the_chip_does(repl: Repl, call: str, error: str) -> None:
    repl.exec("import esp32\nn = esp32.NVS('other')\nn.set_blob('blob', bytes(768))")
    with pytest.raises(Raised) as refused:
        repl.exec(f"n.{call}")
    assert refused.value.last == f"OSError: ({error})"


def test_what_the_factory_flashed_is_there(tmp_path: Path) -> None:
    file = flash(tmp_path, {"main.py": b"print('made', 'here')\n", "lib/own.py": b"A = 5\n"})
    entry = nvs.Entry("keystead", "record", "binary", b"the record")
    content = bytearray(file.read_bytes())
    content[NVS : NVS + REGION.size] = nvs.partition([entry], REGION.size)
    file.write_bytes(content)
    with running(micropython=False, flash=file) as board:
        Console(board).wait_for(b"made here\r\n")
        with repl_of(board) as repl:
            repl.exec("import own, esp32\nb = bytearray(10)")
            repl.exec("size = esp32.NVS('keystead').get_blob('record', b)")
            assert repl.evaluate("own.A, size, bytes(b)") == (5, 10, b"the record")


def test_ctrl_c_ends_main_and_resets_start_it_again(tmp_path: Path) -> None:
    with running(micropython=False, flash=flash(tmp_path, {"main.py": TICKING})) as board:
        console = Console(board)
        console.wait_for(b"started by 1 b''\r\n")
        with repl_of(board) as repl:
            assert b"KeyboardInterrupt: \r\nMicroPython v" in console.wait_for(b">>> ")
            repl.exec("import machine; machine.RTC().memory(b'kept')")
            repl.start("machine.reset()")
            console.wait_for(b"started by 2 b'kept'\r\n")  # HARD_RESET
            repl.enter(60)
            repl.soft_reset()
            assert b"started by" not in console.said  # the raw REPL starts no main.py
            assert repl.evaluate("__import__('machine').reset_cause()") == 5
            repl.leave()
            console.wait_for(b">>> ")
            repl._line.write(b"\x04")
            console.wait_for(b"MPY: soft reboot\r\n")
            console.wait_for(b"started by 5 b'kept'\r\n")
            repl.enter(60)
            repl.start("machine.WDT(timeout=1000)\nwhile True: pass")
            console.wait_for(b"started by 3 b'kept'\r\n")  # the watchdog
        board.power_off()
        board.power_on()
        console.wait_for(b"started by 1 b''\r\n")


def test_what_is_typed_before_a_program_is_there_waits_for_it() -> None:
    with running() as board:
        console = Console(board)

        def type_at_once(said: bytes) -> None:
            if b"rst:" in said:
                asyncio.get_running_loop().call_soon(board.received, b"1 + 1\r\x01", None)

        board.console(type_at_once)
        board.press_reset()
        console.wait_for(b">>> 1 + 1\r\n2\r\n>>> \r\nraw REPL; CTRL-B to exit\r\n>")


def test_a_program_that_never_waits_is_interrupted_too(repl: Repl) -> None:
    repl.start("while True: pass")
    repl.enter(60)
    assert repl.evaluate("40 + 2") == 42


@pytest.mark.parametrize("bits", [32, 64])
def test_what_stands_in_for_the_chip_has_room_of_its_own(bits: int) -> None:
    code = (
        "import gc, time, select, socket, machine, network, esp32, time_server, errno, lwip, os\n"
        "import umqtt.simple\nsocket.socket().ioctl(3, 1)\ngc.collect()\nprint(gc.mem_alloc())"
    )
    with running(bits=bits) as board, repl_of(board) as repl:
        taken = int(repl.exec(code))
    given = program._STAND_INS_HEAP[bits]
    assert 0.85 * given < taken <= 1.1 * given


def greet(server: socket.socket) -> None:
    with server.accept()[0] as line:
        line.sendall(b"hello")


def test_its_network_leads_where_the_bench_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        hosts = {"example.com": ("127.0.0.1", server.getsockname()[1])}
        with running(hosts=hosts) as board, repl_of(board) as repl:
            thread = threading.Thread(target=greet, args=(server,))
            thread.start()
            repl.exec("import network\nw = network.WLAN(network.STA_IF)\nw.active(True)")
            repl.exec("w.connect('bench', 'no secret')\nimport socket\ns = socket.socket()")
            repl.exec("s.connect(socket.getaddrinfo('example.com', 443)[0][-1])")
            assert repl.evaluate("w.isconnected(), s.read(5)") == (True, b"hello")
            thread.join()


@pytest.mark.parametrize("left", [1, 400, 1000])
def test_power_that_fails_while_a_file_is_written_leaves_the_old_or_the_new(left: int) -> None:
    old, new = b"old" * 400, b"newer" * 400
    with running() as board, repl_of(board) as repl:
        repl.put("/file", old)
        board.flash.bytes_left = left
        repl.start(f"with open('/file', 'wb') as f: f.write({new!r})")
        Console(board)
        while board.powered:  # a deadline is pytest's
            pass
        board.power_on()
        repl.enter(60)
        assert repl.get("/file") in (old, new)


def test_people_can_use_the_repl_too(board: VirtualBoard, repl: Repl) -> None:
    console = Console(board)
    repl.leave()
    banner = console.wait_for(b">>> ")
    assert b"MicroPython v" in banner
    assert banner.endswith(b'Type "help()" for more information.\r\n')

    def typed(keys: bytes, prompt: bytes = b">>> ") -> bytes:
        repl._line.write(keys)
        return console.wait_for(prompt)

    assert typed(b"1 + x\x08\x08 1\r") == b"1 + x\b \b\b \b 1\r\n2\r\n"
    assert typed(b"for i in 'ab':\r", b"... ") == b"for i in 'ab':\r\n"
    assert typed(b"  print(i)\r", b"... ") == b"  print(i)\r\n"
    assert typed(b"\r") == b"\r\na\r\nb\r\n"
    assert b'File "<stdin>", line 1, in <module>\r\nZeroDivisionError' in typed(b"1 / 0\r")
    assert typed(b"half a line\x03") == b"half a line\r\n"
    assert typed(b"\x05", b"=== ").startswith(b"\r\npaste mode")
    assert typed(b"if 1:\r", b"=== ") + typed(b"  print(7)\r", b"=== ") + typed(b"\x04") == (
        b"if 1:\r\n  print(7)\r\n\r\n7\r\n"
    )


@pytest.mark.parametrize("heap", ["0", "64q", "-1", "k"])
def test_a_heap_that_is_none_is_refused(heap: str) -> None:
    with pytest.raises(CommandError, match="heap"):
        program.heap_size(heap)
