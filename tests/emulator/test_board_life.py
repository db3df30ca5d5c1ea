"""What the real firmware does as time goes by: it backs off, renews, feeds, forgets, recovers."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import trustme

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.serve.listener import serve as serve_cloud
from host_tools.keys import derive_device_key
from keystead.record import FactoryRecord
from tests.emulator.conftest import (
    GROUP_KEY,
    ID_SCOPE,
    MAC,
    NAME,
    MakeBoard,
    said,
    watch,
)  # fmt: skip
from tests.emulator.servers import LOCAL, Hosts, Scripted, Servers, perform, serving
from tests.emulator.simulated import IDLE, Life

HUB = "test-docs-hub.azure-devices.net"
FAST = 30  # times the host's time: half a minute in a second


def story(servers: Servers, app: str, script: Callable[[Life], Coroutine[Any, Any, None]]) -> None:
    """Play a script in a life at these servers."""
    perform(partial(Scripted, servers=servers), script, app)


def stamp(line: str) -> float:
    """Return the seconds since the start that a line of the log begins with."""
    return float(line[1 : line.index("]")])


def unbitten(life: Life) -> None:
    """Fail if the board ever stopped."""
    assert not life.count("(the board stopped"), life.told()


async def away_at_first(life: Life, hosts: Hosts, text: str, times: int = 1) -> str:
    """Start the board with this in its DNS; when it has said text, let it find what is there."""
    right = life.board.unix.hosts
    life.power(False)
    life.lines.clear()
    life.times.clear()
    life.board.unix.hosts = {**right, **hosts}
    life.power(True)
    line = await life.said(text, times)
    life.board.unix.hosts = right
    await life.cycle()
    return line


def write_app(board: object, source: str) -> None:
    (board.flash / "app.py").write_text(source)  # type: ignore[attr-defined]


# ---- back-off and progress


def test_an_application_that_breaks_again_and_again_is_started_ever_more_rarely() -> None:
    servers = Servers()

    async def script(life: Life) -> None:
        await life.said("next start", 8)
        waits = [int(line.split(" in ")[1].split()[0]) for line in life.lines if "next st" in line]
        # full jitter over 10, 20, ... 600 s: without growth none of them would be above 10
        assert max(waits) > 10
        # and its connection stays
        assert servers.users == ["dps", "hub"]

    story(servers, "def run(device): 1 / 0", script)


def test_every_socket_is_closed_before_the_next_is_opened() -> None:
    servers = Servers()
    app = """
def run(device):
    for _ in range(6):
        device.renew = True
        while device.renew:
            device.wait(1)
    print('over')
"""

    async def script(life: Life) -> None:
        await life.said("over")
        assert servers.users == ["dps"] + ["hub"] * 7
        assert servers.most_open == 1

    story(servers, app, script)


def test_a_slow_server_that_keeps_within_every_limit_does_not_wake_the_watchdog() -> None:
    async def script(life: Life) -> None:
        await life.said("over")
        assert life.timeline.monotonic() > 7 * 13
        unbitten(life)

    app = "def run(device):\n    device.send('x')\n    print('over')"
    story(Servers(step=13), app, script)


def test_a_number_is_forgotten_only_after_ten_good_minutes() -> None:
    async def script(life: Life) -> None:
        stored = life.in_nvs("failure.i32")
        await away_at_first(life, {"*": (LOCAL, 1)}, "next attempt")
        assert stored.read_text() == "34"
        await life.said("here")
        assert stored.read_text() == "34"
        await life.said("later")
        assert stored.read_text() == "0"

    app = "def run(device):\n    print('here')\n    device.wait(900)\n    print('later')"
    story(Servers(), app, script)


def test_a_hub_that_can_not_be_found_for_twenty_minutes_sends_the_board_to_dps() -> None:
    async def script(life: Life) -> None:
        line = await away_at_first(life, {HUB: None}, "registering", 2)
        assert life.failures().count("33 name-unknown") > 5
        assert 1200 < stamp(line) < 1800

    story(Servers(), IDLE, script)


# ---- the connection


def test_the_line_is_pinged_at_half_its_keep_alive() -> None:
    servers = Servers()

    async def script(life: Life) -> None:
        await life.said("over")
        # in 750 s, each 60 s after the last, and without a word from anybody else
        assert servers.kinds[-12:] == [0xC0] * 12
        assert not life.failures()

    story(servers, "def run(device):\n    device.wait(750)\n    print('over')", script)


def test_a_line_that_answers_no_ping_is_given_up() -> None:
    async def script(life: Life) -> None:
        await life.said("FAILURE 36 connection-lost: no PINGRESP")

    story(Servers(pings=False), IDLE, script)


# ---- keys, network, flash, memory


def test_a_refused_primary_key_is_followed_by_the_secondary(make_board: MakeBoard) -> None:
    async def story() -> list[str]:
        group = EnrollmentGroup("g", hub=HUB, keys=KeyPair(GROUP_KEY, bytes(64)))
        with Cloud(Config(assigning_replies=0, groups=(group,)), on_event=lambda e: None) as cloud:
            async with serve_cloud(cloud, "127.0.0.1", 0) as listener:
                right = derive_device_key(GROUP_KEY, NAME)
                record = FactoryRecord(MAC, ID_SCOPE, NAME, b"x" * 32, right).pack()
                board = make_board(listener.port, record, speed=FAST)
                (board.flash / "certs" / "bench.der").write_bytes(cloud.ca_der)
                return await watch(board, "hub: connected")

    lines = asyncio.run(story())
    said(lines, "FAILURE 62 dps-unauthorized")


def test_a_network_that_is_not_there_does_not_keep_the_board_from_the_next(
    make_board: MakeBoard,
) -> None:
    board = make_board(1, speed=FAST)
    networks = [{"ssid": "gone"}, {"ssid": "bench", "password": "no secret"}]
    (board.flash / "config.json").write_text(json.dumps({"wifi": networks}))
    lines = asyncio.run(watch(board, "registering"))
    said(lines, "network: 127.0.0.1")


def test_a_worn_nvs_does_not_stop_a_board() -> None:
    async def script(life: Life) -> None:
        life.power(False)
        # commit() writes here before it renames
        life.in_nvs("failure.i32.new").mkdir()
        await away_at_first(life, {"*": (LOCAL, 1)}, "next attempt")
        await life.said("NVS does not keep failure")
        await life.said("hub: connected")

    story(Servers(), IDLE, script)


def test_what_a_broken_application_kept_is_given_back() -> None:
    app = """
kept = []
def run(device):
    kept.append(bytearray(4000))
    print('kept', len(kept))
    raise ValueError
"""

    async def script(life: Life) -> None:
        await life.said("kept", 8)
        assert {line for line in life.lines if "kept" in line} == {"kept 1"}

    story(Servers(), app, script)


def test_a_connected_board_keeps_only_what_it_needs(make_board: MakeBoard, ca: trustme.CA) -> None:
    async def story() -> None:
        async with serving(Servers(), ca) as port:
            board = make_board(port)
            write_app(
                board,
                "import sys\n"
                "def run(device):\n"
                "    ours = [n for n in sys.modules if n.split('.')[0] in ('keystead', 'rim')]\n"
                "    print('modules', *sorted(ours))\n",
            )
            lines = await watch(board, "modules")
        assert lines[-1].split()[1:] == [
            "keystead", "keystead.failure", "keystead.hub", "keystead.percent", "rim", "rim.clock",
            "rim.device", "rim.log", "rim.memory", "rim.mqtt", "rim.start", "rim.stream",
        ]  # fmt: skip

    asyncio.run(story())


# ---- applications that do what they should not


def test_an_application_that_never_lets_the_device_have_a_turn_is_ended_by_the_watchdog() -> None:
    async def script(life: Life) -> None:
        await life.said("(the board stopped: the watchdog bit)")
        (life.board.unix.flash / "app.py").write_text(IDLE)
        await life.said("FAILURE 13 watchdog")
        await life.said("ready")

    story(Servers(), "import time\ndef run(device):\n    while True: time.sleep(5)\n", script)


def test_a_failure_that_only_the_application_knows_is_told_as_the_applications() -> None:
    async def script(life: Life) -> None:
        await life.said("next start")
        await life.said("FAILURE 92 app-broken")
        await life.said("my-own")

    source = "from keystead.failure import Failure\ndef run(d): raise Failure('my-own')"
    story(Servers(), source, script)


def test_what_an_application_imports_of_ours_stays() -> None:
    app = """
import keystead.backoff
def run(device):
    device.wait(900)
    print('waits', keystead.backoff.backoff(3, 0.5))
"""

    async def script(life: Life) -> None:
        await life.said("waits 4.0")

    story(Servers(), app, script)


def test_a_wait_for_nothing_still_keeps_the_line_alive() -> None:
    servers = Servers()
    app = """
import time
def run(device):
    for _ in range(60):
        device.wait(0)
        time.sleep(10)
    print('over')
"""

    async def script(life: Life) -> None:
        await life.said("over")
        assert servers.kinds.count(0xC0) >= 3
        unbitten(life)

    story(servers, app, script)


def test_a_wrong_time_is_asked_again_when_a_token_is_refused(make_board: MakeBoard) -> None:
    async def story() -> list[str]:
        group = EnrollmentGroup("g", hub=HUB, keys=KeyPair(GROUP_KEY))
        with Cloud(Config(assigning_replies=0, groups=(group,)), on_event=lambda e: None) as cloud:
            async with serve_cloud(cloud, "127.0.0.1", 0) as listener:
                board = make_board(listener.port, speed=FAST, ntp=[-100 * 24 * 3600, 0])
                (board.flash / "certs" / "bench.der").write_bytes(cloud.ca_der)
                return await watch(board, "hub: connected")

    said(asyncio.run(story()), "FAILURE 62 dps-unauthorized")


# ---- the LED


def pulses(log: str) -> list[int]:
    """Group the LED's pulses by the pauses between them: numbers of pulses."""
    on = [int(line.split()[0]) for line in log.splitlines() if line.endswith(" 2 1")]
    groups: list[int] = []
    last = -10_000
    for ticks in on:
        if ticks - last > 900:
            groups.append(0)
        groups[-1] += 1
        last = ticks
    return groups


def test_the_led_blinks_the_number_tens_first() -> None:
    async def script(life: Life) -> None:
        (life.board.unix.flash / "lib" / "board.py").write_text("LED = 2")
        # by then one of the waits was long enough for the whole number
        await away_at_first(life, {"*": (LOCAL, 1)}, "next attempt", 7)
        groups = pulses((life.board.unix.folder / "nvs" / "pins").read_text())
        assert [3, 4] in [groups[n : n + 2] for n in range(len(groups))]

    story(Servers(), IDLE, script)


def test_a_board_module_without_an_led_stays_dark(make_board: MakeBoard) -> None:
    board = make_board(1, speed=FAST)
    (board.flash / "lib" / "board.py").write_text("NAME = 'dark'")
    lines = asyncio.run(watch(board, "next attempt"))
    said(lines, "FAILURE 34 unreachable")
