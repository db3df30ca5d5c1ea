"""The real firmware in a story of faults: it names what it met, and comes through."""

from pathlib import Path

import pytest

from host_tools.emulator.faults.scenario import load_scenario
from tests.emulator.simulated import Life, play

APP = """
def run(device):
    while True:
        device.send("21")
        print("sent")
        device.wait(60)
"""


def story(tmp_path: Path, steps: str, until: str, times: int = 1, app: str = APP) -> Life:
    """Boot a board in a cloud with this scenario; return its life up to the times-th such line."""
    file = tmp_path / "story.toml"
    file.write_text(steps)
    lives: list[Life] = []

    async def script(life: Life) -> None:
        lives.append(life)
        load_scenario(file).play(life.cloud.faults, life.now)
        await life.said(until, times)

    play(script, app)
    return lives[0]


def test_the_first_board_gets_429_twice_and_is_assigned(tmp_path):
    steps = """
        title = "A bad Monday"
        seed = 7
        [[step]]
        who = "the first board"
        when = "it registers"
        gets = "429, retry after 5 s"
        times = 2
        """
    life = story(tmp_path, steps, "sent")
    assert [one.gets for one in life.struck()] == ["429, retry after 5 s"] * 2
    assert not life.failures()


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
    tmp_path, when, gets, failure
):
    steps = f'[[step]]\nwhen = "{when}"\ngets = "{gets}"\ntimes = 1\n'
    life = story(tmp_path, steps, "sent")
    assert life.count(f"FAILURE {failure}") == len(life.failures()) == len(life.struck()) == 1


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
def test_a_board_survives(tmp_path, when, gets):
    steps = f'[[step]]\nwhen = "{when}"\ngets = "{gets}"\ntimes = 1\n'
    life = story(tmp_path, steps, "sent", 2)
    assert len(life.failures()) == len(life.struck()) == 1


def test_a_half_open_hub_is_given_up_and_dialled_again(tmp_path):
    steps = """
        [[step]]
        when = "it pings"
        gets = "a half-open connection"
        times = 1
        """
    idle = "def run(device): device.wait(900)"
    life = story(tmp_path, steps, "hub: connected", 2, idle)
    assert life.count("FAILURE 36 connection-lost: no PINGRESP") == 1
