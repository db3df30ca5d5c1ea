"""The lines to a board's serial port, with pyserial's own clients at the other end."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import serial

from host_tools.errors import CommandError
from host_tools.serial_line import open_line
from host_tools.virtual_board import farm
from host_tools.virtual_board.farm import BoardSetting, VirtualBoard
from host_tools.virtual_board.wire import garbled
from tests.board.test_rom_loader import SYNC

REQUEST = b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00" + SYNC + b"\xc0"
REPLY = bytes.fromhex("c0 01080400 07071220 00000000 c0")
READ_MAC = bytes.fromhex("c0 000a0400 00000000 44880060 c0")
PATIENT = 60  # seconds for what will come; the others in here are for what will not
DOWNLOADING = BoardSetting(rfc2217=("127.0.0.1", 0), socket=("127.0.0.1", 0), download=True)


def until(condition: Callable[[], object], seconds: float = PATIENT) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        os.sched_yield()


def synced(port: serial.SerialBase) -> bool:
    """Send a SYNC; return whether the loader answers. Drops what came before."""
    port.reset_input_buffer()
    port.write(REQUEST)
    return port.read(len(REPLY) * 8) == REPLY * 8


@pytest.fixture
def board():
    with farm.started([DOWNLOADING]) as (board,):
        board.power_on(download=True)  # has power: waits until the chip is up
        yield board


def change_baud(rate: int) -> bytes:
    return bytes.fromhex("c0 000f0800 00000000") + rate.to_bytes(4, "little") + bytes(4) + b"\xc0"


@pytest.mark.parametrize("rate", [9600, 115200, 460800, 921600])
def test_the_rom_finds_the_rate_of_its_client(board: VirtualBoard, rate: int) -> None:
    with open_line(board.urls[0], rate, timeout=PATIENT) as port:
        assert synced(port)


def test_beyond_its_limit_the_rom_hears_noise(board: VirtualBoard) -> None:
    with open_line(board.urls[0], 3_000_000, timeout=0.3) as port:
        assert not synced(port)


def test_a_client_at_another_rate_than_the_chip_is_not_understood(board: VirtualBoard) -> None:
    with open_line(board.urls[0], 115200, timeout=PATIENT) as port:
        assert synced(port)
        port.write(change_baud(460800))
        assert port.read(14)[:3] == b"\xc0\x01\x0f"  # still at the old rate
        port.timeout = 0.3
        assert not synced(port)
        port.timeout = PATIENT
        port.baudrate = 460800
        assert synced(port)
        board.press_reset(download=True)
        port.baudrate = 115200
        assert synced(port)


def test_a_console_at_another_rate_shows_noise(board: VirtualBoard) -> None:
    with open_line(board.urls[0], 9600, timeout=PATIENT) as port:
        board.press_reset()
        noise = garbled(board.model.said(1, False))
        assert port.read(len(noise)) == noise


def test_garbage_looks_like_no_frame() -> None:
    assert not set(garbled(bytes(range(256)) * 2)) & {0xC0, 0xDB, 0xFF}


def test_a_byte_of_telnet_goes_through_as_data(board: VirtualBoard) -> None:
    data = bytes(range(256)) * 40
    body = (len(data) + 16).to_bytes(2, "little")
    with open_line(board.urls[0], timeout=PATIENT) as port:
        assert synced(port)
        board.flash.write(0, b"\xff\xff\x00\xff" * 16)
        port.write(bytes.fromhex("c0 000e0800 00000000 00000000 40000000 c0"))
        assert port.read(78)[9:73] == b"\xff\xff\x00\xff" * 16
        frame = b"\x00\x07" + body + (0xEF).to_bytes(4, "little")
        frame += len(data).to_bytes(4, "little") + bytes(12) + data
        escaped = frame.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        port.write(b"\xc0" + escaped + b"\xc0")
        assert port.read(14)[9:11] == b"\x00\x00"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pysertials_own_client_is_served_too(board: VirtualBoard) -> None:
    from serial.rfc2217 import Serial

    with Serial(f"{board.urls[0]}?timeout={PATIENT}", 115200, timeout=PATIENT) as port:
        assert synced(port)
        assert port.cts
        port.rts = True
        port.dtr = False
        port.rts = False
        port.timeout = 0.2
        assert not synced(port)  # that was a reset, the program runs


@pytest.mark.parametrize("line", [0, 1], ids=["rfc2217", "socket"])
def test_a_second_client_is_told_who_is_there(board: VirtualBoard, line: int) -> None:
    url = board.urls[line]
    with open_line(url, timeout=PATIENT) as first:
        assert synced(first)
        if line == 0:
            with pytest.raises(CommandError, match=r"port is in use by 127\.0\.0\.1:\d+$"):
                open_line(url)
        else:
            second = open_line(url, timeout=PATIENT)
            assert second.read(24) == b"port is in use by 127.0."
        assert synced(first)
    with open_line(url, timeout=PATIENT) as port:
        assert synced(port)


def test_who_comes_while_the_first_hangs_up_is_let_in(board: VirtualBoard) -> None:
    address = board.urls[1].removeprefix("socket://").split(":")
    for _ in range(20):
        with socket.create_connection((address[0], int(address[1])), PATIENT) as client:
            client.sendall(REQUEST)
            assert client.recv(1) == b"\xc0"


def test_who_was_about_to_be_refused_when_the_first_hung_up_is_let_in() -> None:
    async def story() -> None:
        async with farm.powered(replace(DOWNLOADING, rfc2217=None)) as board:
            [line] = board.lines
            host, port = line.url.removeprefix("socket://").split(":")
            hosts = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
            while not line.waiting:
                await asyncio.sleep(0)
            [waits] = line.waiting
            waits._timer.cancel()
            line.client.transport.close()
            waits._refuse()  # its time is over in the same turn of a loop that was held up
            async with asyncio.timeout(PATIENT):
                while line.client is not waits:
                    await asyncio.sleep(0)
            for _, writer in hosts:
                writer.close()

    asyncio.run(story())


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        setting = BoardSetting(rfc2217=("127.0.0.1", other.getsockname()[1]))
        with (
            pytest.raises(CommandError, match=r"can not listen on 127\.0\.0\.1:\d+: "),
            farm.started([setting]),
        ):
            pass


def test_garbage_at_the_telnet_end_harms_nobody(board: VirtualBoard) -> None:
    host, port = board.urls[0].removeprefix("rfc2217://").split(":")
    for garbage in (
        b"\xff\xfa\x2c" + b"x" * 5000,
        b"\xff",
        b"\xff\xf0",
        b"\xff\xfa\xff\xf0",
        b"GET",
    ):
        with socket.create_connection((host, int(port)), PATIENT) as client:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
    with open_line(board.urls[0], timeout=PATIENT) as line:
        assert synced(line)


def test_what_nobody_reads_is_lost_and_not_kept() -> None:
    setting = BoardSetting(rfc2217=None, socket=("127.0.0.1", 0), pty=True)

    async def flood() -> None:
        async with farm.powered(setting) as board:
            line = board.lines[0]
            with open_line(board.urls[0]), open_line(board.urls[1]):
                while not line.client:
                    await asyncio.sleep(0)
                for _ in range(2000):
                    board._from_chip(b"x" * 4096)
                assert 0 < line.client.transport.get_write_buffer_size() <= (1 << 20) + 4096

    asyncio.run(flood())


def test_a_terminal_is_opened_closed_and_opened_again() -> None:
    setting = BoardSetting(rfc2217=None, pty=True, download=True)
    with farm.started([setting]) as (board,):
        board.power_on()
        for rate in (115200, 460800):
            with open_line(board.urls[0], rate, timeout=PATIENT) as port:
                assert synced(port)
            board.press_reset(download=True)
        with open_line(board.urls[0], 115200, timeout=0.2) as port:
            port.timeout = PATIENT
            assert synced(port)
            port.write(change_baud(460800))
            port.read(14)
            port.timeout = 0.2
            assert not synced(port)


def test_power_and_buttons_over_all_lines() -> None:
    with farm.started([DOWNLOADING]) as (board,), open_line(board.urls[1], timeout=1) as port:
        board.power_off()
        assert not board.powered
        assert not synced(port)
        board.power_on()
        assert b"SPI_FAST_FLASH_BOOT" in port.read(100)
        board.press_reset(download=True)
        port.timeout = PATIENT
        assert synced(port)


def test_each_board_of_a_farm_has_its_own_ports_and_state() -> None:
    boards = [BoardSetting(mac=bytes((2, 0, 0, 0, 0, n)), download=n % 2 == 0) for n in range(6)]
    with farm.started(boards) as farmed:
        assert len({url for board in farmed for url in board.urls}) == 6
        for number, board in enumerate(farmed):
            board.power_on()
            with open_line(board.urls[0], timeout=0.3) as port:
                port.timeout = PATIENT if number % 2 == 0 else 0.3
                assert synced(port) == (number % 2 == 0)
                if number % 2 == 0:
                    port.write(READ_MAC)
                    assert port.read(14)[5:9] == bytes((number, 0, 0, 0))


def test_at_a_real_pace_bytes_take_ten_bits_each() -> None:
    with farm.started([replace(DOWNLOADING, paced=True)]) as (board,):
        board.power_on()
        with open_line(board.urls[0], 9600, timeout=PATIENT) as port:
            port.write(change_baud(9600))  # the ROM finds its client's rate
            port.read(14)
            begun = time.monotonic()
            assert synced(port)
            assert time.monotonic() - begun >= (len(REQUEST) + len(REPLY) * 8) * 10 / 9600
