"""The process of a port with the real esptool, on virtual boards: what fails, what goes on."""

import io
import os
import pickle
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from esp_pylib.logger import EspLog
from esptool.logger import log
from esptool.reset import HardReset, ResetStrategy

from bench.ports import kept_port
from host_tools.flash.counted import Counted
from host_tools.flash.failure import FlashFailure
from host_tools.flash.link import Answer, Link
from host_tools.flash.worker import Bench, Progress, set_up
from host_tools.images import filesystem
from host_tools.images.parts import Part
from host_tools.serial_line import open_line
from host_tools.serial_protocols.inbox import Inbox
from host_tools.virtual_board import farm
from host_tools.virtual_board.board_setting import BoardSetting
from host_tools.virtual_board.farm import VirtualBoard
from host_tools.virtual_board.faults import parse

MAC = bytes.fromhex("a0b1c2d3e4f5")
CHANCE = os.urandom(150_000)  # does not deflate
IMAGE = [Part("chance", 0x100000, CHANCE), Part("blank", 0x140000, bytes(300_000))]


@contextmanager
def powered(
    *faults: str,
    chip: str = "esp32c3",
    flash: Path | None = None,
    port: int = 0,
    paced: bool = False,
) -> Iterator[VirtualBoard]:
    setting = BoardSetting(
        chip=chip, mac=MAC, flash=flash, faults=tuple(map(parse, faults)),
        paced=paced, rfc2217=("127.0.0.1", port),
    )  # fmt: skip
    with farm.started([setting]) as boards:
        yield boards[0]


@contextmanager
def bench(board: VirtualBoard, tell: Callable[[float], None] = lambda _: None) -> Iterator[Bench]:
    """The worker in this very process: its own takes a second to start."""
    progress, before = Progress(tell), EspLog.instance
    log.set_logger(progress)
    made = Bench(board.urls[0], progress)
    try:
        yield made
    finally:
        EspLog.instance = before
        made.close()


def blocks(parts: list[Part]) -> list[tuple[int, bytes]]:
    return [(part.offset, part.data) for part in parts]


def test_what_is_written_is_counted_told_and_read_back() -> None:
    told: list[float] = []
    with powered() as board, bench(board, told.append) as port:
        chip = port.connect(460_800)
        assert (chip.name, chip.mac, chip.flash_size) == ("esp32c3", MAC, 4 << 20)
        assert (chip.baud, chip.esptool.split(".")[0]) == (460_800, "5")
        assert port.blank(0x100000, 4096)
        assert port.write(blocks(IMAGE)) == 450_000
        # zeros behind what does not deflate are deflated all the same
        assert 150_000 < port.traffic.sent < 180_000
        assert told == sorted(told)
        assert told[-1] == 1
        assert port.read([(0x100000, 5000), (0x140000, 3)]) == [CHANCE[:5000], bytes(3)]
        assert port.write(blocks(IMAGE)) == 0


def test_esptools_warning_of_a_port_without_reset_lines_is_not_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before, warn_once = EspLog.instance, ResetStrategy.print_once
    master, slave = os.openpty()
    try:
        set_up(Progress(lambda _: None))
        with open_line(os.ttyname(slave)) as line:
            HardReset(line)()
    finally:
        EspLog.instance, ResetStrategy.print_once = before, warn_once
        os.close(master)
        os.close(slave)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("chip", ["esp32", "esp32s3"])
def test_other_chips_are_told_apart(chip: str) -> None:
    with powered(chip=chip) as board, bench(board) as port:
        found = port.connect(115_200)
        assert (found.name, found.mac, found.baud) == (chip, MAC, 115_200)


@pytest.mark.parametrize("burnt", ["secure boot", "flash encryption", "secure download mode"])
def test_what_the_efuses_forbid_is_told(burnt: str) -> None:
    with powered(burnt) as board, bench(board) as port:
        assert port.connect(460_800).secured == (burnt,)


@pytest.mark.parametrize("fault", ["power cut at byte 200000", "power cut in erase 50"])
def test_a_power_cut_costs_no_more_than_the_piece_under_way(fault: str) -> None:
    with powered(fault) as board, bench(board) as port:
        port.connect(460_800)
        with pytest.raises(FlashFailure) as caught:
            port.write(blocks(IMAGE))
        assert caught.value.reason in ("write-failed", "port-lost")
        board.power_on()
        port.connect(460_800)
        assert port.write(blocks(IMAGE)) == 300_000
        assert board.flash.read(0x100000, 150_000) == CHANCE


@pytest.mark.parametrize(
    "fault", ["flip bit 3 at 60000", "drop byte 60000", "drop byte 1400 to host"]
)
def test_a_noisy_line_is_survived_or_told(fault: str) -> None:
    with powered(fault) as board, bench(board) as port:
        port.connect(460_800)
        try:
            port.write(blocks(IMAGE))
        except FlashFailure as failure:
            assert failure.reason == "write-failed"
            port.connect(115_200)
            port.write(blocks(IMAGE))
        assert board.flash.read(0x100000, 150_000) == CHANCE


def test_a_line_that_hangs_in_the_middle_is_told_and_wants_power_off() -> None:
    with powered("stuck after 60000") as board, bench(board) as port:
        port.connect(460_800)
        with pytest.raises(FlashFailure) as caught:
            port.write(blocks(IMAGE))
        assert caught.value.reason in ("write-failed", "port-lost")
        board.power_off()
        board.power_on()
        port.connect(460_800)
        port.write(blocks(IMAGE))
        assert board.flash.read(0x100000, 150_000) == CHANCE


class _Adapter(Counted):
    """A line that carries nothing at more than 115 200 baud."""

    def write(self, data: bytes) -> int | None:
        return super().write(data) if self.baudrate <= 115_200 else len(data)


def test_a_line_that_can_not_do_the_speed_is_used_at_115200() -> None:
    with powered() as board:
        made = Bench(board.urls[0], Progress(lambda _: None), lambda u: _Adapter(open_line(u)))
        chip = made.connect(460_800)
        assert chip.baud == 115_200
        assert made.write(blocks(IMAGE[:1])) == 150_000
        made.close()


def test_a_port_that_is_stuck_or_absent_is_told() -> None:
    with kept_port() as number:
        with powered("stuck after 1, every time", port=number) as board, bench(board) as port:
            with pytest.raises(FlashFailure, match="no ESP32 answers") as caught:
                port.connect(460_800)
            assert caught.value.reason == "no-answer"
            gone = board.urls[0]
        with pytest.raises(FlashFailure, match="nothing listens") as caught:
            Bench(gone, Progress(lambda _: None)).connect(460_800)
        assert caught.value.reason == "port-absent"


def test_two_stations_can_not_have_one_port() -> None:
    with powered() as board, bench(board) as first:
        first.connect(460_800)
        second = Bench(board.urls[0], Progress(lambda _: None))
        with pytest.raises(FlashFailure, match="in use") as caught:
            second.connect(460_800)
        assert caught.value.reason == "port-busy"


def test_a_blank_board_says_so_when_it_boots() -> None:
    with powered() as board, bench(board) as port:
        port.connect(460_800)
        port.restart()
        lines = [port.line(5) for _ in range(6)]
        assert any(line and line.startswith("invalid header: 0x") for line in lines)


def test_a_board_put_on_the_port_is_noticed_and_our_own_reset_is_not() -> None:
    with powered() as board, bench(board) as port:
        port.connect(460_800)
        port.restart()
        assert not any(port.newcomer(0.2) for _ in range(4))
        board.power_off()
        board.power_on()
        assert any(port.newcomer(1) for _ in range(20))


def test_a_worker_that_is_killed_leaves_the_port_and_the_flash_for_the_next(
    tmp_path: Path,
) -> None:
    flash = tmp_path / "flash.bin"
    # some 15 s: so it is not done before it is killed, however late that is
    with powered(flash=flash, paced=True) as board:
        struck: list[float] = []

        def kill(fraction: float) -> None:
            if fraction and not struck:
                struck.append(fraction)
                os.kill(link.pid, signal.SIGKILL)

        with Link(board.urls[0], kill) as link:
            link.connect(115_200)
            with pytest.raises(FlashFailure) as caught:
                link.write(IMAGE)
            assert caught.value.reason == "worker-died"
            assert struck
    with powered(flash=flash) as board, Link(board.urls[0], lambda _: None) as link:
        link.connect(460_800)
        assert link.write(IMAGE) > 0
        assert link.read([(0x100000, 150_000)]) == [CHANCE]


def test_a_filesystem_is_parsed_in_the_ports_process_which_may_hang() -> None:
    vfs = filesystem.of_files({"lib/a.py": b"pass"}, 64 << 10)
    with Link("rfc2217://127.0.0.1:9", lambda _: None) as link:
        assert link.newcomer(0)  # it has started: that may take longer than a filesystem may
        assert link.files(vfs) == {"lib/a.py": b"pass"}
        assert resource.prlimit(link.pid, resource.RLIMIT_CORE) == (0, 0)
        with pytest.raises(FlashFailure) as caught:
            link.files(bytes(64 << 10))
        assert caught.value.reason == "differs"
        os.kill(link.pid, signal.SIGSTOP)
        with pytest.raises(FlashFailure, match="hung") as caught:
            link.files(vfs, seconds=0.1)
        assert caught.value.reason == "worker-died"


def test_a_worker_gives_the_station_no_object_but_those_it_knows() -> None:
    for known in (FlashFailure("differs", "it is another"), {"a": [b"1", None, 2.5]}):
        assert str(Answer(io.BytesIO(pickle.dumps(known))).load()) == str(known)
    for foreign in (os.system, Path("x")):
        with pytest.raises(pickle.UnpicklingError):
            Answer(io.BytesIO(pickle.dumps(foreign))).load()


def test_of_a_flood_only_the_end_is_kept() -> None:
    def flood() -> None:
        with suppress(OSError):
            while True:
                far.sendall(bytes(1 << 16))

    near, far = socket.socketpair()
    flooding = threading.Thread(target=flood)
    flooding.start()
    inbox = Inbox(near)
    assert all(inbox.waiting() <= 1 << 20 for _ in range(3))
    inbox.close()
    near.close()
    flooding.join()
    far.close()


def test_a_machine_that_stood_still_hears_what_comes_then() -> None:
    looks: list[int] = []

    def clock() -> float:
        looks.append(0)
        if len(looks) == 3:  # two waits were in vain, and by this clock took minutes
            far.sendall(b"late")
        return 60.0 * len(looks)

    near, far = socket.socketpair()
    with near, far:
        inbox = Inbox(near, clock=clock)
        assert inbox.read(4, 2.0) == b"late"
        assert inbox.read(1, 0.01) == b""
        inbox.close()


def test_a_port_that_goes_away_is_told_at_once() -> None:
    with ExitStack() as plug:
        board = plug.enter_context(powered())
        with bench(board) as port:
            port.connect(460_800)
            port.restart()
            plug.close()
            with pytest.raises(OSError):
                while True:
                    port.line(1)
