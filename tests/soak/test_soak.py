"""The firmware in the field for a day, and that a soak finds what it is made to find."""

from calendar import timegm
from time import gmtime, strftime

import pytest

from host_tools.emulator.access import Reason
from host_tools.emulator.events import Connected, Disconnected, Refused, Telemetry
from host_tools.emulator.faults.faults import Struck
from host_tools.virtual_board.unix_board import chip_folder
from tests.soak import script
from tests.soak.incidents import DAY, HOUR, KINDS, MINUTE, Incident
from tests.soak.oracle import Oracle
from tests.soak.soak import APP, BEGIN, WRAP, Soak

_HUB = Soak.hubs[0]


def soaked(
    incidents: list[Incident], days: float, app: str = "", ticks: int | None = None
) -> tuple[Oracle, list[str]]:
    """Soak a board; return what was seen, and the story."""
    story: list[str] = []
    with chip_folder() as folder:
        file = folder / "app.py" if app else APP
        if app:
            file.write_text(app)

        def tell(now: int, text: str) -> None:
            story.append(f"{now} {text}")

        return Soak(folder, incidents, days, 1, app=file, ticks=ticks, say=tell).run(), story


# ---- the firmware


def test_a_day_of_all_that_can_go_wrong_leaves_nothing_to_be_found() -> None:
    oracle, story = soaked(script.draw(seed=3, days=1), days=1)
    assert oracle.findings == [], "\n".join(story[-40:])
    assert oracle.counts["acknowledged"] > 200
    assert oracle.counts["probes"] > 5


# ---- the soak itself


def test_the_same_seed_tells_the_same_story() -> None:
    incidents = [
        Incident(600, 120, "power cut"),
        Incident(1200, 600, "DPS storm", {"seconds": 30}),
        Incident(2400, 60, "no uplink"),
    ]
    assert soaked(incidents, 1 / 24) == soaked(incidents, 1 / 24)


def test_an_application_that_does_nothing_is_bitten_by_the_watchdog_in_the_boards_own_time() -> (
    None
):
    app = "import time\ndef run(device):\n    while True: time.sleep(1)"
    oracle, story = soaked([], 0.005, app)
    assert "the watchdog bit" in oracle.findings[0]
    bites = [int(line.split()[0]) for line in story if line.endswith("-- the watchdog bit")]
    assert 290_000 < bites[0] < 320_000


def test_a_file_that_is_written_as_the_power_fails_is_as_it_was() -> None:
    app = """
def run(device):
    try:
        with open("kept") as file:
            print("kept", file.read())
    except OSError:
        print("kept nothing")
        with open("kept", "w") as file:
            file.write("first")
    device.wait(60)
    with open("kept", "w") as file:
        file.write("second")
    print("written")
    device.wait(300)
"""
    cut = Incident(30, 300, "cut in a write", {"bytes": 3})
    _, story = soaked([cut], 0.003, app)
    kept = [line.partition(" ")[2] for line in story if " kept" in line]
    assert kept[:2] == ["kept nothing", "kept first"]


@pytest.mark.parametrize("incidents", [[], [Incident(200, 700, "no radio")]])
def test_a_chips_ticks_wrap_and_its_firmware_goes_on(incidents: list[Incident]) -> None:
    app = """
import time
def run(device):
    before = time.ticks_ms()
    while time.ticks_ms() >= before:
        before = time.ticks_ms()
        device.wait(60)
    print("wrapped")
    device.wait(900)
    print("online", device.online)
"""
    _, story = soaked(incidents, 0.025, app, ticks=WRAP - 600_000)
    said = [line.partition(" ")[2] for line in story]
    assert "wrapped" in said
    assert "online True" in said


def test_a_seed_is_a_script() -> None:
    month = script.draw(1, 30)
    assert month == script.draw(1, 30) != script.draw(2, 30)
    assert {one.kind for one in month} == set(KINDS)
    assert all(one.over <= 30 * DAY - script.QUIET for one in month)
    assert not any(KINDS[one.kind].cuts for one in month if 8 * DAY <= one.at < 22 * DAY)
    assert len(script.text(month).splitlines()) == len(month)


# ---- the oracle finds


@pytest.fixture
def oracle() -> Oracle:
    """An oracle of a device that was connected for an hour."""
    oracle = Oracle(BEGIN)
    oracle.powered_on()
    oracle.event(Connected(BEGIN, "DPS", Soak.device_id, ""))
    oracle.event(Connected(BEGIN, _HUB, Soak.device_id, ""))
    oracle.now = HOUR * 1000
    arrives(oracle, "1-1")
    assert oracle.findings == []
    return oracle


def arrives(oracle: Oracle, name: str, late: int = 0) -> None:
    """Have a message sent, and arrive with a time that is so many seconds from then."""
    oracle.line(f"sending {name}")
    oracle.line(f"acknowledged {name}")
    now = BEGIN + oracle.now / 1000
    made = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(now + late))
    assert timegm(gmtime(now)) == int(now)
    bag = f"%24.ctime={made.replace(':', '%3A')}"
    oracle.event(Telemetry(now, _HUB, Soak.device_id, b'{"name": "%s"}' % name.encode(), bag))


def found(oracle: Oracle, text: str) -> None:
    """Fail unless this, and nothing else, was found."""
    [finding] = oracle.findings
    assert text in finding


def test_a_message_that_was_acknowledged_and_never_came(oracle: Oracle) -> None:
    oracle.line("sending 1-2")
    oracle.line("acknowledged 1-2")
    oracle.finish()
    found(oracle, "1 messages were acknowledged and are lost: 1-2")


def test_a_message_that_was_not_acknowledged_may_be_lost(oracle: Oracle) -> None:
    oracle.line("sending 1-2")
    oracle.finish()
    assert oracle.findings == []


def test_a_message_with_a_wrong_time(oracle: Oracle) -> None:
    arrives(oracle, "1-2", late=60)
    found(oracle, "message 1-2 says it was made +60 s from when it was")


def test_a_message_of_a_clock_that_was_wrong_is_as_wrong_as_the_clock(oracle: Oracle) -> None:
    oracle.wrong_by = 60
    arrives(oracle, "1-2", late=60)
    assert oracle.findings == []


def test_silence_without_a_reason(oracle: Oracle) -> None:
    oracle.now += 12 * MINUTE * 1000
    oracle.look(True)
    oracle.look(True)
    found(oracle, "no telemetry for 12 min")


def test_silence_that_has_a_reason(oracle: Oracle) -> None:
    incident = Incident(HOUR, HOUR, "no radio")
    oracle.began(incident)
    oracle.now += (HOUR + incident.kind_of.back) * 1000
    oracle.look(True)
    assert oracle.findings == []
    oracle.now += 12 * MINUTE * 1000
    oracle.look(True)
    found(oracle, "no telemetry for 87 min")


def test_a_visit_to_dps_by_a_device_that_has_a_hub(oracle: Oracle) -> None:
    oracle.event(Connected(0, "DPS", Soak.device_id, ""))
    found(oracle, "DPS is asked, and the hub was there 0 s ago")


def test_a_visit_to_dps_soon_after_the_hub_was_lost(oracle: Oracle) -> None:
    oracle.event(Disconnected(0, _HUB, Soak.device_id, ""))
    oracle.now += 14 * MINUTE * 1000
    oracle.event(Connected(0, "DPS", Soak.device_id, ""))
    found(oracle, "DPS is asked, and the hub was there 840 s ago")


def test_a_visit_to_dps_after_a_quarter_of_an_hour_without_a_hub(oracle: Oracle) -> None:
    oracle.event(Disconnected(0, _HUB, Soak.device_id, ""))
    oracle.now += 16 * MINUTE * 1000
    oracle.event(Connected(0, "DPS", Soak.device_id, ""))
    assert oracle.findings == []


def test_a_visit_to_dps_of_a_device_that_its_hub_refused(oracle: Oracle) -> None:
    oracle.event(Disconnected(0, _HUB, Soak.device_id, ""))
    oracle.event(Refused(0, _HUB, Soak.device_id, Reason.UNKNOWN_DEVICE, "CONNACK 5"))
    oracle.event(Connected(0, "DPS", Soak.device_id, ""))
    assert oracle.findings == []


def test_too_many_visits_to_dps(oracle: Oracle) -> None:
    oracle.event(Refused(0, _HUB, Soak.device_id, Reason.UNKNOWN_DEVICE, "CONNACK 5"))
    for _ in range(17):
        oracle.now += MINUTE * 1000
        oracle.event(Connected(0, "DPS", Soak.device_id, ""))
    found(oracle, "DPS is asked 17 times in an hour")


def test_a_visit_to_dps_before_the_time_that_it_named(oracle: Oracle) -> None:
    for _ in range(2):
        oracle.now += 20_000
        oracle.event(Struck(0, "dps", Soak.device_id, "register", "429, retry after 30 s", 1))
        oracle.line("[   1.00] provisioning status: dps-throttled, asking again in 31 s")
    found(oracle, "DPS is asked 20 s after it said 30 s")


def test_a_token_that_was_kept_until_it_expired(oracle: Oracle) -> None:
    oracle.event(Disconnected(0, _HUB, Soak.device_id, "its token expired"))
    found(oracle, "its token expired")


def test_a_visit_to_dps_of_a_device_that_never_heard_its_hubs_answer(oracle: Oracle) -> None:
    oracle.event(Disconnected(0, _HUB, Soak.device_id, "it closed the connection"))
    oracle.now += 16 * MINUTE * 1000
    oracle.event(Connected(0, _HUB, Soak.device_id, ""))
    oracle.event(Disconnected(0, _HUB, Soak.device_id, "it closed the connection"))
    oracle.event(Connected(0, "DPS", Soak.device_id, ""))
    assert oracle.findings == []


@pytest.mark.parametrize(("seconds", "hours"), [(400, 0.6), (90, 31)])
def test_a_clock_that_nobody_sets(oracle: Oracle, seconds: int, hours: float) -> None:
    oracle.wrong_by = seconds
    oracle.look(True)
    oracle.now += int(hours * HOUR * 1000)
    arrives(oracle, "1-2", late=seconds)
    oracle.look(True)
    found(oracle, f"its clock is wrong by {seconds} s")


def test_a_heap_that_grows(oracle: Oracle) -> None:
    for hour in range(72):
        oracle.now = hour * HOUR * 1000
        oracle.line(f"heap {40_000 + 16 * hour} 20000")
    oracle.finish()
    found(oracle, "the heap held")


@pytest.mark.parametrize(
    "line",
    [
        "[   1.00] FAILURE 11 bug: ValueError()",
        "[   1.00] FAILURE 12 out-of-memory: 100 bytes free",
        "[   1.00] FAILURE 92 app-broken: ValueError()",
        "Traceback (most recent call last):",
    ],
)
def test_what_must_not_be_on_the_console(oracle: Oracle, line: str) -> None:
    oracle.line(line)
    assert oracle.findings


def test_what_does_not_work_though_nothing_is_wrong(oracle: Oracle) -> None:
    oracle.probed(1, [ValueError()], None)
    assert len(oracle.findings) == 3
    oracle.findings.clear()
    oracle.line("message probe 2")
    oracle.probed(2, [2], 2)
    assert oracle.findings == []
