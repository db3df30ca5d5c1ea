"""What the real firmware does as time goes by: it backs off, renews, feeds, forgets, recovers."""

import asyncio
import json
import re

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

HUB = "test-docs-hub.azure-devices.net"
DPS = "global.azure-devices-provisioning.net"
ASSIGNED = {"status": "assigned", "assignedHub": HUB, "deviceId": NAME}
FAST, FASTER = 30, 600  # times the host's time: half a minute in a second, ten minutes in one


def write_app(board: object, source: str) -> None:
    (board.flash / "app.py").write_text(source)  # type: ignore[attr-defined]


# ---- back-off and progress


def test_an_application_that_breaks_again_and_again_is_started_ever_more_rarely(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        servers = Servers()
        async with serving(servers, ca) as port:
            board = make_board(port, speed=FASTER)
            write_app(board, "def run(device): 1 / 0")
            lines = await watch(board, "next start", 8)
        waits = [int(wait) for wait in re.findall(r"next start:    in (\d+) s", "\n".join(lines))]
        # full jitter over 10, 20, ... 600 s: without growth none of them would be above 10
        assert max(waits) > 10
        # and its connection stays
        assert servers.users == ["dps", "hub"]

    asyncio.run(story())


def test_every_socket_is_closed_before_the_next_is_opened(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        servers = Servers()
        async with serving(servers, ca) as port:
            board = make_board(port, speed=FASTER)
            write_app(
                board,
                "def run(device):\n"
                "    for _ in range(6):\n"
                "        device.renew = True\n"
                "        while device.renew:\n"
                "            device.wait(1)\n"
                "    print('over')\n",
            )
            await watch(board, "over")
        assert servers.users == ["dps"] + ["hub"] * 7
        assert servers.most_open == 1

    asyncio.run(story())


def test_a_slow_server_that_keeps_within_every_limit_does_not_wake_the_watchdog(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        async with serving(Servers(step=13 / FAST), ca) as port:
            board = make_board(port, speed=FAST)
            write_app(board, "def run(device):\n    device.send('x')\n    print('over')")
            await watch(board, "over")
            assert not board.bitten

    asyncio.run(story())


def test_a_number_is_forgotten_only_after_ten_good_minutes(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        board = make_board(1, speed=FASTER)
        stored = board.folder / "nvs" / "keystead" / "failure.i32"
        await watch(board, "next attempt")
        assert stored.read_text() == "34"
        async with serving(Servers(), ca) as port:
            board.hosts = {"*": ("127.0.0.1", port)}
            write_app(
                board,
                "def run(device):\n    print('here')\n    device.wait(900)\n    print('later')",
            )
            async with board.powered() as console:
                async for line in console:
                    if line == "here":
                        assert stored.read_text() == "34"
                    if line == "later":
                        break
        assert stored.read_text() == "0"

    asyncio.run(story())


def test_a_hub_that_can_not_be_found_for_twenty_minutes_sends_the_board_to_dps(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        servers = Servers()
        async with serving(servers, ca) as port:
            board = make_board(port, speed=FASTER, hosts={DPS: ("127.0.0.1", port), HUB: None})
            lines = await watch(board, "registering", 2)
        failures = [line for line in lines if "FAILURE 33 name-unknown" in line]
        assert len(failures) > 5
        uptime = re.match(r"\[ *([0-9.]+)\]", lines[-1])
        assert uptime
        assert 1200 < float(uptime[1]) < 1800

    asyncio.run(asyncio.wait_for(story(), 60))


# ---- the connection


def test_the_line_is_pinged_at_half_its_keep_alive(make_board: MakeBoard, ca: trustme.CA) -> None:
    async def story() -> None:
        servers = Servers()
        async with serving(servers, ca) as port:
            board = make_board(port, speed=FASTER)
            write_app(board, "def run(device):\n    device.wait(750)\n    print('over')")
            lines = await watch(board, "over")
        # in 750 s, each 60 s after the last, and without a word from anybody else
        assert servers.kinds[-12:] == [0xC0] * 12
        assert not any("FAILURE" in line for line in lines)

    asyncio.run(story())


def test_a_line_that_answers_no_ping_is_given_up(make_board: MakeBoard, ca: trustme.CA) -> None:
    async def story() -> None:
        async with serving(Servers(pings=False), ca) as port:
            board = make_board(port, speed=FASTER)
            write_app(board, "def run(device): device.wait(9999)")
            lines = await watch(board, "next attempt")
        said(lines, "FAILURE 36 connection-lost: no PINGRESP")

    asyncio.run(story())


# ---- keys, network, flash, memory


def test_a_refused_primary_key_is_followed_by_the_secondary(make_board: MakeBoard) -> None:
    async def story() -> list[str]:
        group = EnrollmentGroup("g", hub=HUB, keys=KeyPair(GROUP_KEY, bytes(64)))
        with Cloud(Config(assigning_replies=0, groups=(group,)), on_event=lambda e: None) as cloud:
            async with serve_cloud(cloud, "127.0.0.1", 0) as listener:
                right = derive_device_key(GROUP_KEY, NAME)
                record = FactoryRecord(MAC, ID_SCOPE, NAME, b"x" * 32, right).pack()
                board = make_board(listener.port, record, speed=FASTER)
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


def test_a_worn_nvs_does_not_stop_a_board(make_board: MakeBoard, ca: trustme.CA) -> None:
    async def story() -> None:
        async with serving(Servers(), ca) as port:
            board = make_board(1, speed=FASTER)
            # commit() writes here before it renames
            (board.folder / "nvs" / "keystead" / "failure.i32.new").mkdir()
            lines = await watch(board, "next attempt")
            said(lines, "NVS does not keep failure")
            board.hosts = {"*": ("127.0.0.1", port)}
            await watch(board, "hub: connected")

    asyncio.run(story())


def test_what_a_broken_application_kept_is_given_back(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        async with serving(Servers(), ca) as port:
            board = make_board(port, speed=FASTER)
            write_app(
                board,
                "kept = []\n"
                "def run(device):\n"
                "    kept.append(bytearray(4000))\n"
                "    print('kept', len(kept))\n"
                "    raise ValueError\n",
            )
            lines = await watch(board, "kept", 8)
        assert {line for line in lines if "kept" in line} == {"kept 1"}

    asyncio.run(story())


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


def test_an_application_that_never_lets_the_device_have_a_turn_is_ended_by_the_watchdog(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        async with serving(Servers(), ca) as port:
            board = make_board(port, speed=FASTER)
            write_app(board, "import time\ndef run(device):\n    while True: time.sleep(5)\n")
            async with board.powered() as console:
                async for _ in console:
                    pass
            assert board.bitten
            write_app(board, "def run(device): device.wait(900)")
            said(await watch(board, "hub: connected"), "FAILURE 13 watchdog")

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_failure_that_only_the_application_knows_is_told_as_the_applications(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        async with serving(Servers(), ca) as port:
            board = make_board(port, speed=FASTER)
            source = "from keystead.failure import Failure\ndef run(d): raise Failure('my-own')"
            write_app(board, source)
            lines = await watch(board, "next start")
        said(lines, "FAILURE 92 app-broken")
        said(lines, "my-own")

    asyncio.run(story())


def test_what_an_application_imports_of_ours_stays(make_board: MakeBoard, ca: trustme.CA) -> None:
    async def story() -> None:
        async with serving(Servers(), ca) as port:
            board = make_board(port, speed=FASTER)
            write_app(
                board,
                "import keystead.backoff\n"
                "def run(device):\n"
                "    device.wait(900)\n"
                "    print('waits', keystead.backoff.backoff(3, 0.5))\n",
            )
            await watch(board, "waits 4.0")

    asyncio.run(story())


def test_a_wait_for_nothing_still_keeps_the_line_alive(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        servers = Servers()
        async with serving(servers, ca) as port:
            board = make_board(port, speed=FASTER)
            write_app(
                board,
                "import time\n"
                "def run(device):\n"
                "    for _ in range(60):\n"
                "        device.wait(0)\n"
                "        time.sleep(10)\n"
                "    print('over')\n",
            )
            await watch(board, "over")
        assert servers.kinds.count(0xC0) >= 3
        assert not board.bitten

    asyncio.run(story())


def test_a_wrong_time_is_asked_again_when_a_token_is_refused(make_board: MakeBoard) -> None:
    async def story() -> list[str]:
        group = EnrollmentGroup("g", hub=HUB, keys=KeyPair(GROUP_KEY))
        with Cloud(Config(assigning_replies=0, groups=(group,)), on_event=lambda e: None) as cloud:
            async with serve_cloud(cloud, "127.0.0.1", 0) as listener:
                board = make_board(listener.port, speed=FASTER, ntp=[-100 * 24 * 3600, 0])
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


def test_the_led_blinks_the_number_tens_first(make_board: MakeBoard) -> None:
    board = make_board(1, speed=20)
    (board.flash / "lib" / "board.py").write_text("LED = 2")

    # by then one of the waits was long enough for the whole number
    asyncio.run(watch(board, "factory record", 7))
    groups = pulses((board.folder / "nvs" / "pins").read_text())
    assert [3, 4] in [groups[n : n + 2] for n in range(len(groups))]


def test_a_board_module_without_an_led_stays_dark(make_board: MakeBoard) -> None:
    board = make_board(1, speed=FAST)
    (board.flash / "lib" / "board.py").write_text("NAME = 'dark'")
    lines = asyncio.run(watch(board, "next attempt"))
    said(lines, "FAILURE 34 unreachable")
