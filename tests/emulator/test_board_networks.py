"""The real firmware on Wi-Fi, Ethernet and a modem: it goes on over whichever is left."""

import asyncio
import json
from collections.abc import Callable

import pytest
import trustme

from host_tools import firmware
from tests.emulator.conftest import MakeBoard, said, watch
from tests.emulator.scripted import packet, published, suback
from tests.emulator.servers import Servers, serving
from tests.rim.scripts import ROOT

FAST = 20  # times the host's time: the limits of joining a network pass in three seconds
MODEM = ROOT / "tests" / "rim" / "modem"
CONFIG = {
    "wifi": [{"ssid": "bench", "password": "no secret"}],
    "ethernet": {"phy": "LAN8720", "mdc": 23, "mdio": 18},
    "cellular": {"uart": 1, "tx": 17, "rx": 16, "apn": "internet"},
    "order": ["wifi", "ethernet", "cellular"],
    "spread": 0,
}
APP = "def run(device):\n    while True:\n        device.send('x')\n        device.wait(1)\n"


class Hub(Servers):
    """A DPS and a hub that hangs up after each message, once this has happened to the network."""

    def __init__(self, *happens: Callable[[], None]) -> None:
        super().__init__()
        self._happens = list(happens)

    async def _hub(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            kind, body = await packet(reader)
            if kind == 0x82:
                writer.write(suback(body))
            if kind == 0x32:
                writer.write(b"\x40\x02" + published(body)[1])
                if self._happens:
                    self._happens.pop(0)()
                    return


@pytest.mark.parametrize("bits", [32, 64])
def test_a_network_that_is_lost_is_replaced_by_the_next(
    make_board: MakeBoard, ca: trustme.CA, bits: int
) -> None:
    async def story() -> None:
        cloud = Hub(
            lambda: board.surround(wifi={}, cable=True), lambda: board.surround(cable=False)
        )
        async with serving(cloud, ca) as port:
            board = make_board(port, speed=FAST, bits=bits, overlay=MODEM)
            firmware.compile_folder(MODEM, board.folder / "overlay")
            board.uarts = {1: board.folder / "modem"}
            (board.folder / "modem").write_text("{}\n")
            (board.flash / "config.json").write_text(json.dumps(CONFIG))
            (board.flash / "app.py").write_text(APP)
            lines = await watch(board, "hub: connected", 3)
        networks = [line.partition("network: ")[2] for line in lines if "network: " in line]
        assert networks == ["127.0.0.1 (wifi)", "127.0.0.1 (ethernet)", "127.0.0.1 (cellular)"]
        said(lines, "network-down (201): bench: not found")
        said(lines, "network-down (1): ethernet: no cable")

    asyncio.run(story())


def test_a_network_that_leads_nowhere_is_left_for_the_next(make_board: MakeBoard) -> None:
    board = make_board(1, speed=FAST, cable=True)  # a port where nobody listens
    (board.flash / "config.json").write_text(json.dumps({**CONFIG, "order": ["wifi", "ethernet"]}))
    lines = asyncio.run(watch(board, "network: 127.0.0.1 (ethernet)"))
    assert "127.0.0.1 (wifi)" in "".join(lines)


def test_a_broken_file_costs_no_connection(make_board: MakeBoard, ca: trustme.CA) -> None:
    async def story() -> None:
        async with serving(Hub(), ca) as port:
            board = make_board(port, speed=FAST)
            await watch(board, "hub: connected")
            config = board.flash / "config.json"
            config.write_text(config.read_text()[:-1])
            lines = await watch(board, "hub: connected")
        said(lines, "config.json, line 1: not JSON; the last good one is used")

    asyncio.run(story())
