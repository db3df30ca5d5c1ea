import errno
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import serial

from host_tools import cli, serial_line
from host_tools.serial_line import LineError, open_line
from host_tools.serial_protocols.inbox import Inbox
from host_tools.virtual_board import farm
from host_tools.virtual_board.farm import BoardSetting
from tests.ports import unheard


@pytest.fixture
def terminal():
    master, slave = os.openpty()
    yield os.ttyname(slave), master
    os.close(slave)
    os.close(master)


def refused(url: str) -> str:
    with pytest.raises(LineError) as caught:
        open_line(url)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(url)
    return text


def test_a_port_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    said = refused(str(tmp_path / "ttyUSB7"))
    assert "there is no such port; ports on USB: " in said


def test_a_port_that_another_program_has_is_refused_with_its_name(terminal) -> None:
    device, _ = terminal
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, host_tools.serial_line as s; p = s.open_line(sys.argv[1]);"
            " print(flush=True); sys.stdin.read()",
            device,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout
        assert holder.stdin
        holder.stdout.readline()
        said = refused(device)
        holder.stdin.close()
    assert f"in use by python (process {holder.pid})" in said.replace("python3", "python")
    open_line(device).close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_port_that_is_not_ours_says_how_to_get_in(tmp_path: Path) -> None:
    file = tmp_path / "tty"
    file.touch(mode=0)
    assert "permission denied; add yourself to its group" in refused(str(file))


def test_a_refusal_of_the_system_is_put_into_words() -> None:
    error = serial.SerialException(errno.EACCES, "Permission denied")
    assert serial_line._why("/dev/null", error) == (
        "/dev/null: permission denied; add yourself to its group (root), log in anew"
    )


def test_a_host_where_nothing_listens_is_said() -> None:
    with unheard() as port:
        for scheme in ("rfc2217", "socket"):
            assert refused(f"{scheme}://127.0.0.1:{port}").endswith(": nothing listens there")


@pytest.mark.parametrize(
    "url", ["rfc2217://", "rfc2217://host:70000", "gopher://x:1", "socket://h"]
)
def test_a_malformed_url_is_said(url: str) -> None:
    refused(url)


def test_a_url_with_a_password_is_refused_without_being_repeated(capsys) -> None:
    url = "rfc2217://jig:s3cret@127.0.0.1:1"
    with pytest.raises(LineError, match="a port takes no user and password") as refused:
        open_line(url)
    assert "s3cret" not in str(refused.value)
    for verb in (["flash", "--batch", "b"], ["retrofit"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main([*verb, "--port", url])
        told = capsys.readouterr().err
        assert "a port takes no user and password" in told
        assert "s3cret" not in told


@pytest.mark.parametrize(
    ("greeting", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\nand more\r\n", "SSH-2.0-OpenSSH_9.2"),
        # TLS, whose alert is no text; and one that says nothing
        (b"\x15\x03\x01\x00\x02\x02\x16", "it closes the connection, and does not speak RFC 2217"),
        (b"", "it closes the connection, and does not speak RFC 2217"),
    ],
)
def test_who_does_not_speak_rfc2217_is_found_out(greeting: bytes, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with server.accept()[0] as client:
                client.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        said = refused(f"rfc2217://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert said.endswith(f": {told}")


def test_setting_a_time_out_costs_nothing_on_the_wire() -> None:
    with farm.started([BoardSetting()]) as (board,), open_line(board.urls[0]) as port:
        sent: list[bytes] = []
        write = port._internal_raw_write
        port._internal_raw_write = lambda data: (sent.append(data), write(data))
        for timeout in (0.1, 3.0, None, 0):
            port.timeout = timeout
        assert sent == []
        port.baudrate = 9600
        assert any(b"\x2c\x01" + (9600).to_bytes(4, "big") in part for part in sent)


def test_a_read_ends_with_its_time_out_or_with_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = open_line(f"socket://127.0.0.1:{server.getsockname()[1]}", timeout=0.05)
        client, _ = server.accept()
        begun = time.monotonic()
        assert port.read(3) == b""
        assert time.monotonic() - begun >= 0.05
        client.sendall(b"abcdef")
        port.timeout = 60
        assert port.read(2) == b"ab"
        client.close()
        assert port.read(10) == b"cdef"
        with pytest.raises(serial.SerialException, match="closed the connection"):
            port.read(1)
        port.close()
        with pytest.raises(serial.PortNotOpenError):
            port.read(1)


def test_ports_on_usb_are_listed_those_of_known_makers_first(monkeypatch) -> None:
    class Plugged:
        def __init__(self, device: str, vid: int | None) -> None:
            self.device, self.vid = device, vid

    there = [Plugged("/dev/ttyS0", None), Plugged("/dev/ttyACM0", 0x1234)]
    there += [Plugged("/dev/ttyUSB1", 0x10C4), Plugged("/dev/ttyUSB0", 0x303A)]
    monkeypatch.setattr(serial_line.plugged, "comports", lambda: there)
    assert serial_line.list_ports() == ["/dev/ttyUSB0", "/dev/ttyUSB1", "/dev/ttyACM0"]


def test_a_port_server_that_sends_commands_without_end_can_not_hold_a_read_up() -> None:
    here, there = socket.socketpair()
    with here, there:

        def nothing(came: bytes) -> bytes:
            there.send(b"\xff\xf1")  # so there is always another one
            return b""

        there.send(b"\xff\xf1")
        inbox = Inbox(here, nothing)
        assert inbox.read(1, 0.05) == b""
        inbox.close()
