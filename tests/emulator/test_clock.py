"""The clock of a board: who is asked for the time, what is believed, and what never is."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import TypeVar

import pytest
import trustme

from host_tools.emulator.clock import Clock
from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.rest.service import serve_rest
from host_tools.emulator.serve.datagrams import serve_datagrams
from host_tools.virtual_board.unix_board import UnixBoard
from tests.emulator.conftest import BUILT, MakeBoard, watch
from tests.emulator.scripted import serve, tls

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]
Lines = TypeVar("Lines", bound=list[str])

DAY, YEAR = 86_400, 31_557_600
FAST = 10  # times the host's time: three seconds for an answer are 0.3 s of ours
BRISK = 4  # where an answer is to come in time, also from a machine that has other things to do
DPS = "global.azure-devices-provisioning.net"
MAIN = """
import os

from keystead.failure import Failure
from rim import clock, ladder, roots
context = roots.context()
before = len(os.listdir("/proc/self/fd"))

def ensure(*servers, doubt=False):
    try:
        moved = ladder.ensure(list(servers), doubt, context, "{dps}:8883", lambda: None)
        print("moved", moved)
    except Failure as failure:
        print("FAILURE", failure)
    print("shows", clock.shown(), clock.is_set())

{script}
"""

ASK = "ensure('a.example')"
LEFT = 'print("left", len(os.listdir("/proc/self/fd")) - before)'


class Console(list[str]):
    """What a board said, and when."""

    def __init__(self, lines: list[str], began: float, speed: int) -> None:
        super().__init__(lines)
        self.began = began  # by the host's clock
        self.took = speed * (time.time() - began)  # by the board's


async def run(board: UnixBoard, script: str) -> Console:
    """Run a script instead of main.py; return what the board says."""
    (board.flash / "main.py").write_text(MAIN.format(dps=DPS, script=script))
    began = time.time()
    async with asyncio.timeout(60), board.powered() as console:
        return Console([line async for line in console], began, board.speed)


def said(lines: list[str], word: str) -> list[str]:
    """Return what follows a word, line by line."""
    return [line.partition(word + " ")[2] for line in lines if word + " " in line]


def is_right(lines: Console, wrong_by: int = 0) -> bool:
    """Tell whether its clock was set and right, however long it all took."""
    shown, is_set = said(lines, "shows")[-1].split()
    return is_set == "True" and -2 < int(shown) - wrong_by - lines.began < lines.took + 2


class Ntp:
    """The emulator's time server, with faults; keeps who asked what."""

    def __init__(self, *rules: str) -> None:
        faults = Faults()
        for rule in rules:
            faults.add(Rule.from_json(rule), time.time())
        self._clock = Clock(faults)
        self.questions: list[bytes] = []

    def answer(self, data: bytes, address: str, now: float) -> tuple[bytes, float] | None:
        self.questions.append(data)
        return self._clock.answer(data, address, now)


def ask(
    make_board: MakeBoard, script: str, servers: dict[str, Ntp] | None = None, **chip: object
) -> Console:
    """Run a script on a board that is led to these time servers; clock: off by so many seconds."""

    async def story() -> Console:
        async with AsyncExitStack() as stack:
            hosts: dict[str, object] = {"*": ("127.0.0.1", 1)}
            for name, server in (servers or {}).items():
                serving = serve_datagrams(server.answer, "127.0.0.1", 0, "NTP")
                hosts[name] = ("127.0.0.1", await stack.enter_async_context(serving))
            clock = chip.pop("clock", None)
            board = make_board(1, hosts=hosts, **chip)
            if clock is not None:
                board.set_clock(int(time.time()) + clock)
            return await run(board, script)

    return asyncio.run(story())


# ---- a clock that runs


@pytest.mark.parametrize("epoch", [2000, 1970])
def test_a_clock_that_survived_a_reset_is_believed(make_board: MakeBoard, epoch: int) -> None:
    lines = ask(make_board, ASK, clock=-3600, ntp=[0], epoch=epoch)
    assert said(lines, "moved") == ["None"]
    assert is_right(lines, -3600)


@pytest.mark.parametrize("wrong_by", [-DAY, DAY])
@pytest.mark.parametrize("epoch", [2000, 1970])
def test_a_clock_in_doubt_is_set_and_its_correction_told(
    make_board: MakeBoard, epoch: int, wrong_by: int
) -> None:
    lines = ask(make_board, "ensure('a.example', doubt=True)", clock=wrong_by, epoch=epoch)
    [moved] = said(lines, "moved")
    assert abs(int(moved) + wrong_by) < 5
    assert is_right(lines)


def test_a_clock_in_doubt_is_kept_if_nobody_answers(make_board: MakeBoard) -> None:
    script = "ensure('a.example', doubt=True)"
    lines = ask(make_board, script, clock=-DAY, ntp=[None], speed=FAST)
    assert said(lines, "moved") == ["False"]
    shown, _ = said(lines, "shows")[0].split()
    # eleven seconds of the board's went by, three for each of two answers and five between them
    assert 8 <= int(shown) + DAY - lines.began <= lines.took + FAST + 2
    assert "a.example no-answer" in lines[0]


@pytest.mark.parametrize("years", [-30, 30])
def test_a_clock_that_is_wrong_by_30_years_is_never_believed(
    make_board: MakeBoard, years: int
) -> None:
    lines = ask(make_board, ASK, clock=years * YEAR, epoch=1970)
    assert abs(int(said(lines, "moved")[0]) + years * YEAR) < 5
    assert is_right(lines)


# ---- time servers


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("epoch", [2000, 1970])
def test_a_clock_at_power_on_is_set_by_ntp(make_board: MakeBoard, bits: int, epoch: int) -> None:
    server = Ntp()
    lines = ask(make_board, ASK, {"a.example": server}, bits=bits, epoch=epoch)
    assert is_right(lines)
    assert "set by a.example" in lines[0]
    [question] = server.questions
    assert question[:40] == b"\x23" + bytes(39)
    assert len(set(question[40:])) > 1


def test_two_questions_are_never_the_same(make_board: MakeBoard) -> None:
    server = Ntp()
    ask(make_board, "for _ in range(5): ensure('a.example', doubt=True)", {"a.example": server})
    assert len(set(server.questions)) == 5


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("the kiss of death DENY", "kiss of death"),
        ("an unsynchronised clock", "not synchronised"),
        ("a bogus packet", "no-answer"),
        ("no answer", "no-answer"),
    ],
)
def test_the_next_server_is_asked_where_one_has_no_time(
    make_board: MakeBoard, fault: str, told: str
) -> None:
    servers = {
        "bad.example": Ntp(f"every board, when it asks for the time, gets {fault}"),
        "good.example": Ntp(),
    }
    lines = ask(make_board, "ensure('bad.example', 'good.example')", servers, speed=BRISK)
    assert is_right(lines)
    assert f"bad.example {told}, set by good.example" in lines[0]


@pytest.mark.parametrize("kiss", ["DENY", "RSTR"])
def test_a_server_that_wants_never_to_be_asked_is_not(make_board: MakeBoard, kiss: str) -> None:
    rude = Ntp(f"every board gets the kiss of death {kiss}")
    script = "for _ in range(90): ensure('rude.example', 'good.example', doubt=True)"
    lines = ask(make_board, script, {"rude.example": rude, "good.example": Ntp()})
    assert len(said(lines, "moved")) == 90
    assert len(rude.questions) == 1


def test_a_server_that_is_asked_too_often_is_spared_for_long(make_board: MakeBoard) -> None:
    busy = Ntp("the first board gets the kiss of death RATE once")
    script = "for _ in range(90): ensure('busy.example', 'good.example', doubt=True)"
    ask(make_board, script, {"busy.example": busy, "good.example": Ntp()})
    assert len(busy.questions) == 1 + 90 - 61


def test_a_time_server_that_is_a_little_wrong_is_believed(make_board: MakeBoard) -> None:
    server = Ntp("every board, when it asks for the time, gets a clock 5 s ahead")
    lines = ask(make_board, ASK, {"a.example": server})
    assert is_right(lines, 5)


@pytest.mark.parametrize("wrong_by", [-YEAR, 16 * YEAR, 30 * YEAR])
def test_a_time_that_can_not_be_is_refused(make_board: MakeBoard, wrong_by: int) -> None:
    lines = ask(make_board, ASK, ntp=[wrong_by], speed=FAST)
    [failure] = said(lines, "FAILURE")
    assert failure.startswith("clock-unset: a.example a time that can not be, HTTPS unreachable")
    assert said(lines, "shows")[0].endswith("False")


def test_the_second_round_helps_where_the_first_was_lost(make_board: MakeBoard) -> None:
    lines = ask(make_board, "ensure('a.example', 'b.example')", ntp=[None, None, 0], speed=FAST)
    assert is_right(lines)


def test_no_socket_is_left_behind(make_board: MakeBoard) -> None:
    script = f"""
for _ in range(20): ensure('closed.example', 'bad.example', 'a.example', doubt=True)
{LEFT}
"""
    servers = {"a.example": Ntp(), "bad.example": Ntp("every board gets an unsynchronised clock")}

    async def story() -> list[str]:
        async with AsyncExitStack() as stack:
            hosts = {"closed.example": ("127.0.0.1", 1)}
            for name, server in servers.items():
                serving = serve_datagrams(server.answer, "127.0.0.1", 0, "NTP")
                hosts[name] = ("127.0.0.1", await stack.enter_async_context(serving))
            return await run(make_board(1, hosts=hosts), script)

    assert said(asyncio.run(story()), "left") == ["0"]


# ---- what flash remembers


def test_no_time_before_the_one_in_flash_is_believed_after_a_power_cut(
    make_board: MakeBoard,
) -> None:
    async def story() -> None:
        board = make_board(1, speed=FAST)
        lines = await run(board, "ensure('a.example'); ladder.remember()")
        assert is_right(lines)
        board.ntp = [-2 * DAY]
        assert board.cause == 1
        [failure] = said(await run(board, ASK), "FAILURE")
        assert "a.example a time that can not be" in failure
        board.ntp = [-3600]
        assert is_right(await run(board, ASK), -3600)

    asyncio.run(story())


def test_the_time_is_written_to_flash_once_a_day_at_most(
    make_board: MakeBoard, tmp_path: Path
) -> None:
    script = """
for _ in range(3):
    ensure('a.example', doubt=True); ladder.remember()
"""
    ask(make_board, script, ntp=[0, 3600, DAY])
    nvs = tmp_path / "board" / "nvs" / "keystead"
    assert [(nvs / f"clock{slot}.blob").read_bytes()[2] for slot in (0, 1)] == [1, 2]


# ---- HTTPS


@asynccontextmanager
async def https(cloud: Cloud):
    async with serve_rest(cloud, "127.0.0.1", 0, "", lambda rest: {}) as rest:
        yield int(rest.url.rpartition(":")[2])


def with_udp_blocked(
    make_board: MakeBoard, story: Callable[[UnixBoard], Awaitable[Lines]], bits: int
) -> Lines:
    """Do something with a board that reaches only HTTPS of the cloud; return what it says."""

    async def run_it() -> Lines:
        with Cloud(Config(), on_event=lambda event: None) as cloud:
            async with https(cloud) as port:
                hosts = {f"{DPS}:443": ("127.0.0.1", port), "*:123": ("127.0.0.1", 1), DPS: None}
                board = make_board(1, hosts=hosts, bits=bits, speed=FAST)
                (board.flash / "certs" / "bench.der").write_bytes(cloud.ca_der)
                return await story(board)

    return asyncio.run(run_it())


@pytest.mark.parametrize("bits", [32, 64])
def test_https_has_the_time_where_udp_is_blocked(make_board: MakeBoard, bits: int) -> None:
    script = "ensure('a.example', 'b.example')"
    lines = with_udp_blocked(make_board, lambda board: run(board, script), bits)
    assert is_right(lines)
    assert "set by HTTPS" in lines[0]


@pytest.mark.parametrize("bits", [32, 64])
def test_a_board_goes_on_to_dps_where_udp_is_blocked(make_board: MakeBoard, bits: int) -> None:
    lines = with_udp_blocked(make_board, lambda board: watch(board, "registering"), bits)
    assert any("set by HTTPS" in line for line in lines)


class Dps:
    """Port 443 of DPS; its certificate is valid between so many days from now.

    mbedTLS on the bench goes by the host's clock, on a chip by the chip's. So the board is shown
    one of which mbedTLS says today what it would say of that certificate by the board's clock.
    """

    def __init__(self, ca: trustme.CA, say: Say, begins: float = -30, ends: float = 60) -> None:
        self.clocks: list[int] = []  # what the board's clock showed at each hand-shake
        self._say = say
        self._valid = [time.time() + days * DAY for days in (begins, ends)]
        self._early = tls(certificate(ca, 30, 60))
        self._good = tls(certificate(ca, -30, 60))
        self._late = tls(certificate(ca, -60, -30))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begins, ends = self._valid
        shown = int((self.board.folder / "clock").read_text().split()[0])
        self.clocks.append(shown)
        context = self._early if shown < begins else self._late if shown > ends else self._good
        await writer.start_tls(context)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HEAD / HTTP/1.1\r\n")
        await self._say(writer)
        await writer.drain()
        await reader.read()

    def serve(self, make_board: MakeBoard, script: str, **chip: object) -> Console:
        """Run a script on a board that is led here; clock: off by so many seconds."""

        async def story() -> Console:
            async with serve(self.answer, None) as port:
                hosts = {f"{DPS}:443": ("127.0.0.1", port)}
                clock = chip.pop("clock", None)
                chip.setdefault("ntp", [-2 * YEAR])
                self.board = make_board(1, hosts=hosts, speed=BRISK, **chip)
                if clock is not None:
                    self.board.set_clock(int(time.time()) + clock)
                return await run(self.board, script)

        return asyncio.run(story())


def certificate(ca: trustme.CA, begins: float, ends: float) -> trustme.LeafCert:
    now = datetime.now(UTC)
    validity = {
        "not_before": now + timedelta(days=begins),
        "not_after": now + timedelta(days=ends),
    }
    return ca.issue_cert(DPS, **validity)


def head(*lines: str) -> Say:
    async def say(writer: asyncio.StreamWriter) -> None:
        text = "".join(line + "\r\n" for line in ("HTTP/1.1 404 Not Found", *lines, ""))
        writer.write(text.encode())

    return say


def date(wrong_by: float = 0) -> str:
    return "Date: " + formatdate(time.time() + wrong_by, usegmt=True)


@pytest.mark.parametrize("name", ["Date", "date", "DATE"])
def test_the_date_of_any_answer_will_do(make_board: MakeBoard, ca: trustme.CA, name: str) -> None:
    say = head("Server: x", "X-Long: " + "y" * 300, name + date()[4:], "Content-Length: 0")
    assert is_right(Dps(ca, say, -3650, 3650).serve(make_board, ASK))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Server: x", "a time that can not be"),
        ("Date: yesterday", "a time that can not be"),
        (date(-YEAR), "a time that can not be"),
        (date(16 * YEAR), "a time that can not be"),
        ("X-Date:" + "9" * 4096 + "\r\n" + date(), "a time that can not be"),
    ],
    ids=["none", "no date of HTTP", "before the image was built", "in 16 years", "too late"],
)
def test_a_date_that_can_not_be_is_refused(
    make_board: MakeBoard, ca: trustme.CA, line: str, told: str
) -> None:
    dps = Dps(ca, head(line), -3650, 3650)
    lines = dps.serve(make_board, ASK)
    assert f"HTTPS clock-unset: {told}" in said(lines, "FAILURE")[0]
    assert said(lines, "shows")[0].endswith("False")
    assert len(dps.clocks) == 1


def test_a_server_that_says_a_byte_a_second_is_given_up(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def say(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(1 / BRISK)

    lines = Dps(ca, say, -3650, 3650).serve(make_board, ASK)
    assert "HTTPS no-answer: waiting for a Date" in said(lines, "FAILURE")[0]


def test_a_stranger_does_not_set_the_clock(make_board: MakeBoard) -> None:
    lines = Dps(trustme.CA(), head(date()), -3650, 3650).serve(make_board, ASK)
    assert "HTTPS tls-untrusted" in said(lines, "FAILURE")[0]
    assert said(lines, "shows")[0].endswith("False")


@pytest.mark.parametrize(("begins", "ends"), [(-1, 46), (-46, 1), (-30, 300)])
def test_a_board_from_the_shelf_finds_the_days_in_which_a_certificate_is_valid(
    make_board: MakeBoard, ca: trustme.CA, begins: int, ends: int
) -> None:
    dps = Dps(ca, head(date()), begins, ends)
    lines = dps.serve(make_board, ASK)
    assert is_right(lines)
    assert dps.clocks[0] == BUILT - DAY
    assert 1 < len(dps.clocks) < 12


def test_a_certificate_that_is_never_valid_is_not_tried_for_ever(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    dps = Dps(ca, head(date()), -1.01, -1)
    lines = dps.serve(make_board, ASK + "; " + LEFT)
    assert said(lines, "left") == ["0"]
    assert "HTTPS tls-expired" in said(lines, "FAILURE")[0]
    assert said(lines, "shows")[0].endswith("False")
    assert len(dps.clocks) < 14


def test_a_clock_in_doubt_is_kept_though_the_search_moved_it(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    dps = Dps(ca, head(date()), -400, -399.9)
    lines = dps.serve(make_board, "ensure('a.example', doubt=True)", clock=-DAY)
    assert len(dps.clocks) > 1
    assert said(lines, "moved") == ["False"]
    shown = int(said(lines, "shows")[0].split()[0])
    assert -3 <= shown + DAY - lines.began <= lines.took + BRISK + 2


def test_a_lie_that_got_into_flash_is_put_right_by_a_server_that_tls_verified(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    script = """
ensure('liar.example'); ladder.remember()
ensure('a.example', doubt=True); ladder.remember()
ensure('a.example', doubt=True)
"""
    dps = Dps(ca, head(date()))
    lines = dps.serve(make_board, script, ntp=[2 * YEAR, 0])
    assert len(dps.clocks) > 1
    assert is_right(lines)
    assert [line.partition("clock: ")[2] for line in lines if "set by" in line] == [
        "set by liar.example",
        "a.example a time that can not be, set by HTTPS",
        "set by a.example",
    ]
