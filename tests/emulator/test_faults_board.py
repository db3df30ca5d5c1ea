"""The real firmware in a story of faults: it names what it met, and comes through."""

import asyncio
import time
from pathlib import Path

import pytest

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.faults.faults import Struck
from host_tools.emulator.faults.scenario import load_scenario
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.serve.listener import serve
from tests.emulator.cloud_fixtures import HUB
from tests.emulator.conftest import GROUP_KEY, MakeBoard, said, watch

FAST, FASTER = 30, 120  # times the host's time: half a minute in a second, or in a quarter
APP = """
def run(device):
    while True:
        device.send("21")
        print("sent")
        device.wait(60)
"""


def story(
    tmp_path: Path,
    make_board: MakeBoard,
    steps: str,
    until: str,
    times: int = 1,
    speed: int = FAST,
    app: str = APP,
) -> tuple[list[str], list[Struck]]:
    """Boot a board in a cloud with this scenario; return its console and what struck it."""
    struck: list[Struck] = []
    file = tmp_path / "story.toml"
    file.write_text(steps)

    def note(event: object) -> None:
        if isinstance(event, Struck):
            struck.append(event)

    async def run() -> list[str]:
        group = EnrollmentGroup("g", hub=HUB, keys=KeyPair(GROUP_KEY))
        with Cloud(Config(assigning_replies=1, groups=(group,)), on_event=note) as cloud:
            load_scenario(file).play(cloud.faults, time.time())
            async with serve(cloud, "127.0.0.1", 0) as listener:
                board = make_board(listener.port, speed=speed)
                (board.flash / "certs" / "bench.der").write_bytes(cloud.ca_der)
                (board.flash / "app.py").write_text(app)
                return await watch(board, until, times)

    return asyncio.run(run()), struck


def test_the_first_board_gets_429_twice_and_is_assigned(tmp_path, make_board):
    steps = """
        title = "A bad Monday"
        seed = 7
        [[step]]
        who = "the first board"
        when = "it registers"
        gets = "429, retry after 5 s"
        times = 2
        """
    lines, struck = story(tmp_path, make_board, steps, "sent")
    assert [one.gets for one in struck] == ["429, retry after 5 s"] * 2
    assert not any("FAILURE" in line for line in lines)


@pytest.mark.parametrize(
    ("when", "gets", "failure"),
    [
        ("it connects to DPS", "CONNACK 3", "65 dps-unavailable"),
        ("it connects to DPS", "CONNACK 5", "61 dps-refused"),
        ("it registers", "401", "62 dps-unauthorized (401002)"),
        ("it registers", "404", "63 dps-unknown (404201)"),
        ("it asks again", "status failed with 400208", "67 dps-failed (400208)"),
        ("it registers", "status disabled", "68 dps-disabled"),
        ("it shakes hands", "a certificate of an unknown CA", "51 tls-untrusted"),
        ("it shakes hands", "a certificate for another name", "52 tls-wrong-name"),
        ("it shakes hands", "an expired certificate", "53 tls-expired"),
    ],
)
def test_a_fault_is_named_by_its_number_and_the_next_attempt_is_good(
    tmp_path, make_board, when, gets, failure
):
    steps = f'[[step]]\nwhen = "{when}"\ngets = "{gets}"\ntimes = 1\n'
    lines, struck = story(tmp_path, make_board, steps, "sent", speed=FASTER)
    said(lines, f"FAILURE {failure}")
    assert len(struck) == 1


@pytest.mark.parametrize(
    ("when", "gets"),
    [
        ("it connects to DPS", "no answer"),
        ("it connects to DPS", "a dropped socket"),
        ("it subscribes", "half a packet"),
        ("it registers", "the wrong rid"),
        ("it registers", "an empty body"),
        ("it registers", "no answer"),
        ("it asks again", "a malformed packet"),
        ("it asks again", "a packet that claims 256 MB"),
        ("it connects to its hub", "CONNACK 3"),
        ("it connects to its hub", "half a packet"),
        ("it sends telemetry", "an expired token"),
        ("it sends telemetry", "a half-open connection"),
        ("it sends its 4th packet", "a dropped socket"),
        ("it is sent its 3rd packet", "a closed connection"),
        ("it shakes hands", "a hand-shake that hangs"),
    ],
)
def test_a_board_survives(tmp_path, make_board, when, gets):
    steps = f'[[step]]\nwhen = "{when}"\ngets = "{gets}"\ntimes = 1\n'
    lines, struck = story(tmp_path, make_board, steps, "sent", 2, FASTER)
    said(lines, "FAILURE")
    assert struck


def test_a_half_open_hub_is_given_up_and_dialled_again(tmp_path, make_board):
    steps = """
        [[step]]
        when = "it pings"
        gets = "a half-open connection"
        times = 1
        """
    idle = "def run(device): device.wait(900)"
    lines, _ = story(tmp_path, make_board, steps, "hub: connected", 2, FASTER, idle)
    said(lines, "FAILURE 36 connection-lost: no PINGRESP")
