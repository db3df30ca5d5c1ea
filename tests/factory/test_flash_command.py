"""`keystead flash` against virtual boards: whole runs, and runs that end in the middle."""

import hashlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import keystead
from bench.ports import kept_port
from host_tools import boards, cli, keys
from host_tools.batch import Batch, units_from_range
from host_tools.device_keys import DeviceKeys
from host_tools.errors import CommandError
from host_tools.flash.failure import REMEDIES
from host_tools.flash.load import Load
from host_tools.flash.loads import Loads
from host_tools.flash.rows import Lines, Objects, Rows, follow
from host_tools.flash.shortened import short_names
from host_tools.flash.station import News, Outcome, Station
from host_tools.flash.steps import Order
from host_tools.flash.words import said
from host_tools.images.board_files import content, spread
from host_tools.images.stand_in import stand_in_image
from host_tools.key_sources import HeldKey
from host_tools.ledger import Ledger, open_ledger
from host_tools.virtual_board import farm
from host_tools.virtual_board.board_setting import BoardSetting
from host_tools.virtual_board.farm import VirtualBoard
from host_tools.virtual_board.faults import parse

GROUP_KEY = bytes(range(40, 80))
BATCH = Batch("pilot", "ESP32_GENERIC_C3", "0ne00002193")
MACS = [bytes([0xA0, 0xB1, 0xC2, 0xD3, 0xE4, number]) for number in range(9)]
NAMES = [f"sn-000{n}-mac-{MACS[n - 1].hex('-')}" for n in (1, 2)]
LIMIT = 90  # seconds at most for what other threads and processes do


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(str(tmp_path / "ledger.db"), create=True) as book:
        book.create_batch(BATCH, units_from_range("0001..0009"))
        yield book


@pytest.fixture(scope="module")
def order() -> Order:
    board = boards.get(BATCH.board)
    load = Loads(board, stand_in_image(board.chip, 4 << 20), content(board)).get
    return Order(BATCH, board, load, keystead.__version__)


@contextmanager
def powered(*chips: str, faults: Sequence[str] = ()) -> Iterator[list[VirtualBoard]]:
    struck = tuple(map(parse, faults))
    settings = [BoardSetting(chip, MACS[n], faults=struck) for n, chip in enumerate(chips)]
    with farm.started(settings) as lent:
        yield lent


def flashed(
    order: Order, ledger: Ledger, boards: Sequence[VirtualBoard], dry: bool = False
) -> list[Outcome]:
    source = DeviceKeys(HeldKey(GROUP_KEY, "a test's key"))
    ports = [board.urls[0] for board in boards]
    view = Rows(ports, Console(quiet=True, width=80))
    outcomes = follow(Station(order, ledger, source, dry).run(ports), view)
    assert view.table().row_count == len(ports)
    return sorted(outcomes, key=lambda outcome: ports.index(outcome.port))


def words(folder: Path, board: VirtualBoard, *more: str) -> list[str]:
    place = ["--ledger", str(folder / "ledger.db"), "--batch", "pilot", "--port", board.urls[0]]
    return ["flash", *place, *more]


# ---- whole runs


def test_two_boards_are_made_at_once_and_nothing_tells_a_key(
    ledger: Ledger, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("KEYSTEAD_GROUP_KEY", keys.encode_key(GROUP_KEY))
    with powered("esp32c3", "esp32c3") as lent:
        more = ["--port", lent[1].urls[0], "--stand-in", "--json"]
        assert cli.main(words(tmp_path, lent[0], *more)) == 0
        told = "".join(capfd.readouterr())
        results = [json.loads(line) for line in told.splitlines() if "result" in line]
        assert {result["result"] for result in results} == {"good"}
        assert {result["mac"] for result in results} == {mac.hex(":") for mac in MACS[:2]}
        assert all(board.powered for board in lent)
    assert sorted(i.mac for i in ledger.identities(state="good")) == MACS[:2]
    kept = told.encode() + b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for name in (identity.registration_id for identity in ledger.identities()):
        for key in (GROUP_KEY, keys.derive_device_key(GROUP_KEY, name)):
            for shown in (key, key.hex().encode(), keys.encode_key(key).encode()):
                assert shown not in kept


def test_boards_that_do_not_fit_are_refused_beside_one_that_does(
    order: Order, ledger: Ledger
) -> None:
    with powered("esp32c3", "esp32") as lent:
        good, foreign = flashed(order, ledger, lent)
        assert (good.result, good.registration_id) == ("good", NAMES[0])
        assert (foreign.result, foreign.reason, foreign.step) == (
            "failed",
            "wrong-chip",
            "connect",
        )
        assert "an esp32 is on this port" in said(foreign).plain
        # letting it go takes seconds too: what its row ran up to is what is told
        assert foreign.steps["release"] > 0
        assert foreign.seconds == sum(foreign.steps.values())
        assert lent[1].flash.read(0, 4096) == b"\xff" * 4096
    assert [identity.mac for identity in ledger.identities()] == [MACS[0]]


def test_a_dry_run_says_who_the_board_would_be_and_writes_nothing(
    order: Order, ledger: Ledger
) -> None:
    with powered("esp32c3") as lent:
        (would,) = flashed(order, ledger, lent, dry=True)
        assert (would.result, would.registration_id) == ("would", NAMES[0])
        assert lent[0].flash.read(0, 4 << 20) == b"\xff" * (4 << 20)
    assert not list(ledger.identities())


def test_a_flash_that_is_too_small_is_refused(order: Order, ledger: Ledger) -> None:
    with powered("esp32c3", faults=["flash size 1MB"]) as lent:
        (outcome,) = flashed(order, ledger, lent)
    assert (outcome.reason, outcome.step) == ("flash-too-small", "connect")


def test_a_port_with_a_fault_of_ours_says_so_and_the_others_go_on(
    order: Order, ledger: Ledger
) -> None:
    faults = iter([KeyError("words that hold a key")])

    def load(flash_size: int) -> Load:
        for fault in faults:
            raise fault
        return order.load(flash_size)

    with powered("esp32c3", "esp32c3") as lent:
        told = flashed(replace(order, load=load), ledger, lent, dry=True)
    assert sorted(outcome.reason or outcome.result for outcome in told) == ["bug", "would"]
    assert "words that hold" not in str(told)


def test_of_two_boards_with_one_mac_the_second_is_refused_before_it_is_written(
    order: Order, ledger: Ledger
) -> None:
    refused = threading.Event()

    def load(flash_size: int) -> Load:
        assert refused.wait(LIMIT)  # the first one is being made as long as that
        return order.load(flash_size)

    source = DeviceKeys(HeldKey(GROUP_KEY, "a test's key"))
    outcomes = {}
    with farm.started([BoardSetting(mac=MACS[0])] * 2) as lent:
        boards = {board.urls[0]: board for board in lent}
        for news in Station(replace(order, load=load), ledger, source).run(list(boards)):
            if news.outcome:
                outcomes[news.outcome.result] = news.outcome
                refused.set()
        good, failed = outcomes["good"], outcomes["failed"]
        assert (failed.reason, failed.step) == ("twin-mac", "connect")
        assert good.port in failed.message
        assert boards[failed.port].flash.read(0, 4 << 20) == b"\xff" * (4 << 20)
    assert ledger.identity(NAMES[0]).state == "good"


# ---- runs that end in the middle


def test_a_board_that_lost_power_goes_on_with_its_own_identity(
    order: Order, ledger: Ledger
) -> None:
    with powered("esp32c3", faults=["power cut at byte 90000"]) as lent:
        slow = replace(order, baud=115_200)  # else it is tried once more, slowly
        (cut,) = flashed(slow, ledger, lent)
        assert (cut.result, cut.step) == ("failed", "write")
        assert ledger.identity(NAMES[0]).state == "failed"
        lent[0].power_on()
        (made,) = flashed(order, ledger, lent)
        assert (made.result, made.registration_id) == ("good", NAMES[0])
        assert made.traffic.sent < 100_000
    assert ledger.count("pilot").free == 8


def test_a_station_that_is_killed_or_interrupted_is_run_again(
    ledger: Ledger, tmp_path: Path
) -> None:
    flash = tmp_path / "flash.bin"
    image = tmp_path / "micropython.bin"
    image.write_bytes(stand_in_image("esp32c3", 4 << 20, 1_900_000))
    own = ["--micropython", str(image), "--json"]
    own += ["--sha256", hashlib.sha256(image.read_bytes()).hexdigest()]
    # two minutes: so it is not done before it is struck, however late that is
    with farm.started([BoardSetting(mac=MACS[0], flash=flash, paced=True)]) as (board,):
        run = words(tmp_path, board, *own, "--baud", "115200")
        assert _struck(run, signal.SIGKILL) == -signal.SIGKILL
        assert ledger.identity(NAMES[0]).state == "flashing"
        assert _struck(run, signal.SIGINT) == 130
        found = ledger.identity(NAMES[0])
        assert (found.state, found.reason) == ("failed", "interrupted")
    with farm.started([BoardSetting(mac=MACS[0], flash=flash)]) as (board,):
        assert _struck(words(tmp_path, board, *own), None) == 0
    assert [identity.registration_id for identity in ledger.identities()] == [NAMES[0]]
    assert ledger.identity(NAMES[0]).state == "good"
    ledger.verify()


def _struck(run: list[str], blow: signal.Signals | None) -> int:
    """Run the command; strike it once, when it begins to write. Return its exit code."""
    with subprocess.Popen(
        [sys.executable, "-m", "host_tools", *run],
        stdout=subprocess.PIPE, text=True, env=os.environ | {
            "KEYSTEAD_GROUP_KEY": keys.encode_key(GROUP_KEY)},
    ) as process:  # fmt: skip
        assert process.stdout
        for line in process.stdout:
            if blow and '"write"' in line:  # so says the outcome, too: it ends already
                process.send_signal(blow)
                blow = None
        return process.wait(LIMIT)


def test_a_port_is_used_for_one_board_after_the_other(order: Order, ledger: Ledger) -> None:
    source = DeviceKeys(HeldKey(GROUP_KEY, "a test's key"))
    with kept_port() as port:
        with _put(MACS[0], port) as board:
            boots = _Boots(board)
            news = Station(order, ledger, source, stay=True).run([board.urls[0]])
            first = next(one.outcome for one in news if one.outcome)
            assert (first.result, first.mac) == ("good", MACS[0])
            assert next(news).step == "wait"
            boots.reached(2)
            board.press_reset()  # the same board once more: it is left alone
            assert [next(news).step for _ in range(2)] == ["connect", "again"]
        with closing(news), _put(MACS[1], port):
            second = next(one.outcome for one in news if one.outcome)
            assert (second.result, second.registration_id) == ("good", NAMES[1])


def test_a_port_that_is_not_there_is_told_once_and_waited_for(
    order: Order, ledger: Ledger
) -> None:
    source = DeviceKeys(HeldKey(GROUP_KEY, "a test's key"))
    with kept_port() as port:
        with socket.create_server(("127.0.0.1", port)) as server:
            news = Station(order, ledger, source, stay=True).run([f"rfc2217://127.0.0.1:{port}"])
            away = threading.Thread(target=lambda: [server.accept()[0].close() for _ in "abc"])
            away.start()
            told = [next(news) for _ in range(3)]
            assert [one.step for one in told] == ["connect", "", "wait"]
            assert "it closes the connection" in told[1].remark
            away.join(LIMIT)  # by now it has looked again, and once more
        with closing(news), _put(MACS[0], port):
            heard = []
            while not (heard and heard[-1].outcome):
                heard.append(next(news))
    assert [one.step for one in heard if one.step][:2] == ["connect", "reserve"]
    assert not [one for one in heard if one.remark or one.step == "wait"]
    assert heard[-1].outcome.result == "good"


def test_a_batch_that_is_used_up_ends_a_port_that_goes_on(order: Order, ledger: Ledger) -> None:
    full = replace(BATCH, name="full", template="x-{serial}-{mac}")
    ledger.create_batch(full, units_from_range("9001..9001"))
    ledger.reserve("full", MACS[8], "esp32c3")
    source = DeviceKeys(HeldKey(GROUP_KEY, "a test's key"))
    with powered("esp32c3") as lent:
        what = replace(order, batch=full)
        told = list(Station(what, ledger, source, stay=True).run([lent[0].urls[0]]))
    (outcome,) = [one.outcome for one in told if one.outcome]
    assert (outcome.reason, outcome.step) == ("batch-used-up", "reserve")


@pytest.mark.parametrize(
    ("source", "good"),
    [
        ("def run(device): pass", True),
        ("async def run(device): pass", True),
        ("from rooms import loop as run", True),
        ("try:\n    from rooms import *\nexcept ImportError:\n    pass", True),
        ("if True:\n    run = print", True),
        ("", False),
        ("import run as go", False),
        ("def main(device):\n    run = 1", False),
        ("class App:\n    def run(self): pass", False),
    ],
)
def test_an_application_without_run_is_refused(tmp_path: Path, source: str, good: bool) -> None:
    file = tmp_path / "app.py"
    file.write_text(source)
    if good:
        assert content(boards.get(BATCH.board), app=file)["app.py"] == source.encode()
    else:
        with pytest.raises(CommandError, match="has no function run"):
            content(boards.get(BATCH.board), app=file)


def test_what_a_first_boot_waits_is_known_from_its_configuration() -> None:
    assert spread({}) == 0
    assert spread({"config.json": b'{"wifi": [{"ssid": "hall"}]}'}) == 60


class _Boots:
    """Counts how often the firmware of a board has started."""

    def __init__(self, board: VirtualBoard) -> None:
        self._said, self._changed = b"", threading.Condition()
        board.console(self._heard)

    def _heard(self, data: bytes) -> None:
        with self._changed:
            self._said += data
            self._changed.notify_all()

    def reached(self, count: int) -> None:
        with self._changed:
            there = self._changed.wait_for(
                lambda: self._said.count(b"] keystead ") >= count, LIMIT
            )
        assert there


@contextmanager
def _put(mac: bytes, port: int) -> Iterator[VirtualBoard]:
    with farm.started([BoardSetting(mac=mac, rfc2217=("127.0.0.1", port))]) as (board,):
        yield board


# ---- what is said


def test_wrong_usage_is_said_in_one_line(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["flash", "--ledger", str(tmp_path / "ledger.db")]
    port = ["--port", "rfc2217://127.0.0.1:9"]
    assert cli.main([*place, "--batch", "nobody", *port, "--stand-in", "--dry-run"]) == 1
    assert cli.main([*place, "--batch", "pilot", *port, *port, "--stand-in"]) == 1
    assert cli.main([*place, "--batch", "pilot", "--port", "socket://a:1", "--stand-in"]) == 1
    unknown, twice, plain = capsys.readouterr().err.splitlines()
    assert "nobody" in unknown
    assert "given twice" in twice
    assert "no reset lines" in plain
    for speed in ("9599", "fast", "99999999"):
        with pytest.raises(SystemExit):
            cli.main([*place, "--batch", "pilot", *port, "--baud", speed])
    assert "is not a speed" in capsys.readouterr().err


def test_a_wait_for_the_hub_that_must_fail_is_refused_or_warned_of_at_the_start(
    ledger: Ledger, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"wifi": [{"ssid": "hall", "password": "its password"}]}')
    with kept_port() as port:
        place = ["--ledger", str(tmp_path / "ledger.db"), "--batch", "pilot"]
        place += ["--port", f"rfc2217://127.0.0.1:{port}"]
        run = ["flash", *place, "--stand-in", "--dry-run", "--register"]
        assert cli.main(run) == 1
        told = capfd.readouterr()
        assert "--register without --config" in told.err
        assert told.out == ""
        assert cli.main([*run, "5", "--config", str(config)]) == 1
    told = capfd.readouterr()
    assert "warning: --register 5: a first boot waits up to 60 s (`spread`): give" in told.err
    assert "port-absent" in told.out


def test_a_remark_is_shown_by_whoever_shows(capsys: pytest.CaptureFixture[str]) -> None:
    news = News("a", remark="no such port")
    Objects().take(news)
    console = Console(width=120, file=io.StringIO())
    for view in (Lines(console), Rows(["a"], console)):
        view.take(news)
    assert json.loads(capsys.readouterr().out) == {"port": "a", "remark": "no such port"}
    assert console.file.getvalue() == "a: no such port\n" * 2  # type: ignore[attr-defined]


def test_rows_show_who_is_where_and_say_why_one_failed() -> None:
    console = Console(width=140, file=io.StringIO())
    rows = Rows(["a", "b"], console)
    for news in (
        News("a", step="connect"),
        News("a", mac=MACS[0]),
        News("a", registration_id=NAMES[0]),
        News("a", step="write"),
        News("a", fraction=0.5),
        News("b", outcome=Outcome("b", "failed", reason="no-answer", message="nobody is there")),
    ):
        rows.take(news)
    table = rows.table()
    told = [[str(cell) for cell in column.cells] for column in table.columns]
    assert told[1] == ["writing", "FAILED no-answer"]
    assert told[3][0] == MACS[0].hex(":")
    assert told[4] == [NAMES[0], ""]
    assert "b: FAILED no-answer" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "nobody is there" in console.file.getvalue()  # type: ignore[attr-defined]


def drawn(rows: Rows, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    rows._console = console
    console.print(rows.table())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [60, 66, 80, 120, 200])
def test_a_port_is_one_line_however_narrow_the_terminal_is(width: int) -> None:
    ports = [f"rfc2217://127.0.0.1:400{n}" for n in range(3)]
    rows = Rows(ports, Console(quiet=True))
    for port in ports:
        rows.take(News(port, step="reserve"))
        rows.take(News(port, mac=MACS[0]))
    before = drawn(rows, width)
    rows.take(News(ports[0], registration_id=NAMES[0], serial="0001"))
    long = "7" * 200
    rows.take(News(ports[1], registration_id=f"sn-{long}{NAMES[0]}", serial=long + "end"))
    after = drawn(rows, width)
    assert len(before) == len(after) == 1 + len(ports)
    assert [line.split()[0] for line in after[1:]] == [port[10:] for port in ports]
    assert after[0].split()[:2] == ["port", "step"]
    # the ID where there is room; else the serial, which is written on the bag; else nobody
    assert (NAMES[0] in after[1]) == (width >= 120)
    assert ("  0001  " in after[1]) == (66 <= width < 120)
    assert ("…" in after[2]) == ("end " in after[2]) == (width >= 66)
    assert (MACS[0].hex(":") in after[1]) == (width >= 140)


@pytest.mark.parametrize("width", [50, 66, 80])
def test_reasons_and_seconds_are_whole_where_there_is_little_room(width: int) -> None:
    rows = Rows(["127.0.0.1:4001", "127.0.0.1:4002"], Console(quiet=True))
    for reason in REMEDIES:
        bad = Outcome("127.0.0.1:4001", "failed", reason=reason, seconds=123.4)
        rows.take(News("127.0.0.1:4001", outcome=bad))
        head, told, *_ = drawn(rows, width)
        assert told.split()[1:] == ["FAILED", reason, "123.4"]
        assert ("board" in head) == (width >= 66)
    rows.take(News("127.0.0.1:4002", step="register"))
    assert ("registering at DPS 78%" in drawn(rows, width)[2]) == (width < 80)
    assert ("━" in drawn(rows, width)[2]) == (width == 80)


@pytest.mark.parametrize("width", [50, 80, 140])
def test_no_row_reaches_the_edge_where_the_echo_of_ctrl_c_would_wrap(width: int) -> None:
    console = Console(width=width, file=io.StringIO())
    rows = Rows(["a", "b"], console)
    rows.take(News("a", outcome=Outcome("a", "good", MACS[0], "sn-" + "7" * 200)))
    console.file = io.StringIO()
    console.print(rows.table())
    assert {len(line) for line in console.file.getvalue().splitlines()} == {width - 3}


def test_a_bar_is_not_red_and_what_is_left_of_it_is_faint() -> None:
    file = io.StringIO()
    console = Console(width=80, file=file, force_terminal=True, color_system="standard")
    rows = Rows(["a"], console)
    rows.take(News("a", step="prove"))
    console.print(rows.table())
    colours = re.findall(r"\x1b\[(\d+)m[━╸╺]+", file.getvalue())
    assert (colours[0], set(colours[1:])) == ("36", {"2"})  # cyan, dim


def test_ports_are_named_by_what_tells_them_apart() -> None:
    assert short_names(["/dev/ttyUSB0", "/dev/ttyACM0"], 20) == ["ttyUSB0", "ttyACM0"]
    assert short_names(["COM3", "/dev/ttyUSB0"], 20) == ["COM3", "/dev/ttyUSB0"]
    assert short_names(["rfc2217://[::1]:1"], 20) == ["[::1]:1"]
    bridge = "/dev/serial/by-id/usb-Silicon_Labs_CP2102N_"
    assert short_names([f"{bridge}1a-if00", f"{bridge}1b-if00"], 20) == ["1a-if00", "1b-if00"]


def test_how_a_board_ended_is_shown_until_the_next_one_is_there() -> None:
    rows = Rows(["a", "b"], Console(quiet=True))
    good = Outcome("a", "good", MACS[0], NAMES[0], seconds=1.5)
    bad = Outcome("b", "failed", reason="no-answer", message="nobody is there")
    for outcome in (good, bad):
        rows.take(News(outcome.port, outcome=outcome))
        rows.take(News(outcome.port, step="wait"))
    _, first, second, count = drawn(rows, 100)
    assert first.split()[1:] == ["GOOD", "take", "it", "off", NAMES[0], "1.5"]
    assert second.split()[1:] == ["FAILED", "no-answer", "take", "it", "off", "0.0"]
    assert count == "1 good, 1 failed"
    rows.take(News("a", step="connect"))
    assert "GOOD" not in drawn(rows, 100)[1]
    rows.take(News("a", step="wait"))  # nobody came
    assert drawn(rows, 100)[1].split()[1:] == ["GOOD", "last", "board", NAMES[0], "1.5"]
    rows.take(News("a", step="connect"))
    rows.take(News("a", step="again"))
    told = ["same", "board", "take", "it", "off"]
    assert drawn(rows, 100)[1].split()[1:] == [*told, NAMES[0], "1.5"]
    assert drawn(rows, 60)[1].split()[1:] == [*told, "1.5"]
    rows.take(News("a", step="connect"))
    rows.take(News("a", step="write"))
    assert NAMES[0] not in drawn(rows, 100)[1]
    rows.end()
    assert len(drawn(rows, 100)) == 3


def test_a_ports_name_is_shown_as_it_is() -> None:
    port = "rfc2217://[fe80::1]:2217"
    console = Console(width=120, file=io.StringIO())
    lines, rows = Lines(console), Rows([port], console)
    for news in (News(port, step="write"), News(port, registration_id=NAMES[0])):
        lines.take(news)
    console.print(rows.table())
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert sum("[fe80::1]:2217" in line for line in shown) == 3
