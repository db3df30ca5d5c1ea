"""What the firmware makes of answers about the time: true ones come through, others never do."""

import struct
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_tools.emulator.clock import Clock
from host_tools.emulator.faults.faults import Faults
from keystead import http_date, ntp
from keystead.failure import Failure

NONCE = b"12345678"
FLOOR = 1_767_225_600  # 2026-01-01
times = st.integers(FLOOR, FLOOR + ntp.LATEST)


@given(st.binary(max_size=60), st.booleans(), st.integers(0, 3000))
def test_any_datagram_is_a_time_we_believe_or_none(data: bytes, ours: bool, late: int) -> None:
    if ours:  # as an answer to the question would be: a server's, with its time stamp
        data = data.ljust(48, b"\1")
        data = bytes([data[0] & 0xC0 | 0x24]) + data[1:24] + NONCE + data[32:]
    try:
        time = ntp.read(data, NONCE, FLOOR, late)
    except Failure as failure:
        assert ours
        assert failure.reason == "clock-unset"
        return
    assert time == 0 or FLOOR <= time <= FLOOR + ntp.LATEST + 4
    assert ours or not time


@given(times, st.integers(0, (1 << 32) - 1), st.integers(0, 3000))
def test_a_time_comes_back_to_the_second(time: int, fraction: int, late: int) -> None:
    stamp = struct.pack("!II", (time + 2_208_988_800) & 0xFFFFFFFF, fraction)
    answer = b"\x24\x01" + bytes(22) + NONCE + bytes(8) + stamp
    exact = time + fraction / (1 << 32) + late / 1000
    assert abs(ntp.read(answer, NONCE, FLOOR, late) - exact) < 0.6


@given(times)
def test_the_emulators_time_server_is_understood(time: int) -> None:
    answer = Clock(Faults()).answer(ntp.question(NONCE), "192.0.2.1", time)
    assert answer is not None
    assert ntp.read(answer[0], NONCE, FLOOR, 0) == time


@given(st.integers(1, 253_402_300_799))
@example(951_782_400)  # 29 February 2000
@example(4_107_542_399)  # 28 February 2100, the last second of it
def test_every_date_comes_back(time: int) -> None:
    assert http_date.read(b"Date: " + formatdate(time, usegmt=True).encode()) == time


@given(st.binary(max_size=60) | st.binary(max_size=40).map(b"Date: ".__add__))
def test_any_line_is_a_date_or_none(line: bytes) -> None:
    assert http_date.read(line) >= 0


@given(times, st.integers(0, 28), st.integers(0, 255))
def test_a_date_with_a_wrong_byte_is_no_date_or_another(time: int, place: int, byte: int) -> None:
    text = bytearray(formatdate(time, usegmt=True).encode())
    text[place] = byte
    read = http_date.read(b"Date:" + bytes(text))
    # a digit of the time of day, or a date with the same day of the week
    assert read == 0 or datetime.fromtimestamp(read, UTC).strftime("%a").encode() == text[:3]


@pytest.mark.parametrize("size", range(35))
def test_a_date_that_is_cut_off_is_no_date(size: int) -> None:
    assert http_date.read(b"Date: Sun, 06 Nov 1994 08:49:37 GMT"[:size]) == 0
