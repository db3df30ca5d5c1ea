"""Which network a board is on: what it tries, in which order, and what it says of each."""

import json
import shutil
from pathlib import Path

import pytest

from host_tools.virtual_board.unix_board import UnixBoard
from tests.rim.scripts import MAC, ROOT, printed

HALL = {"ssid": "hall", "password": "correct horse"}
YARD = {"ssid": "yard"}
WIFI = {"wifi": [HALL, YARD]}
ETHERNET = {"ethernet": {"phy": "LAN8720", "mdc": 23, "mdio": 18, "phy_addr": 1}}
CELLULAR = {"cellular": {"uart": 1, "tx": 17, "rx": 16, "apn": "internet"}}
ALL = {**WIFI, **ETHERNET, **CELLULAR, "order": ["wifi", "ethernet", "cellular"]}
NO_WIFI = "network-down (201): hall: wrong password, yard: not found"
NO_CABLE = "network-down (1): ethernet: no cable"
BEGIN = """
import json, time
from keystead.failure import Failure
from rim import link
from rim.settings import load
links = load().links
fed = 0
def feed():
    global fed
    fed += 1
def up(doubt=False):
    try:
        print(link.up(links, feed, doubt))
    except Failure as failure:
        print("FAILURE", failure)
# time goes by only where somebody waits, however long the machine takes for the rest
now = 12345
def sleep_ms(milliseconds):
    global now
    now = now + milliseconds & 0x3FFFFFFF
def later(seconds):
    sleep_ms(seconds * 1000)
time.sleep_ms, time.sleep, time.ticks_ms = sleep_ms, later, lambda: now
def surround(**air):
    with open("../air.json") as file:
        old = json.load(file)
    old.update(air)
    with open("../air.json", "w") as file:
        json.dump(old, file)
"""


@pytest.fixture(params=[64, 32])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> UnixBoard:
    return make(tmp_path, request.param)


@pytest.fixture
def one_board(tmp_path: Path) -> UnixBoard:
    return make(tmp_path, 32)


def make(folder: Path, bits: int) -> UnixBoard:
    # it compiles the firmware itself
    return UnixBoard(folder, MAC, bits, heap="512k")


def told(board: UnixBoard, document: dict[str, object], script: str = "up()") -> list[str]:
    """What a board with this config.json prints; without the seconds."""
    board.flash.mkdir(exist_ok=True)
    (board.flash / "config.json").write_text(json.dumps(document))
    lines = printed(board, BEGIN + script)
    return [line.partition("] ")[2] or line for line in lines]


def modem(board: UnixBoard, answers: dict[str, list[str | None]] | None = None) -> Path:
    """Put a modem at the board's first line; return the file of what it answers and hears."""
    board.flash.mkdir(exist_ok=True)
    shutil.copy(ROOT / "tests" / "rim" / "modem" / "uart.py", board.flash)
    path = board.folder / "modem"
    path.write_text(json.dumps(answers or {}) + "\n")
    board.uarts = {1: path}
    return path


def heard(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


def test_the_first_network_that_works_is_taken(board: UnixBoard) -> None:
    modem(board)
    board.wifi = {"hall": "another", "yard": ""}
    assert told(board, ALL) == ["127.0.0.1 (wifi)"]
    board.wifi = {"hall": "another"}
    assert told(board, ALL) == [NO_WIFI, NO_CABLE, "127.0.0.1 (cellular)"]
    board.cable = True
    assert told(board, ALL) == [NO_WIFI, "127.0.0.1 (ethernet)"]


def test_all_that_failed_is_told_and_the_watchdog_fed_meanwhile(board: UnixBoard) -> None:
    modem(board, {"ATD*99#": ["NO CARRIER"]})
    board.wifi = {"hall": "another"}
    lines = told(board, ALL, "up()\nprint(link.is_up(), fed > 300)")
    assert lines[-2:] == [
        "FAILURE network-down (201): hall: wrong password, yard: not found, ethernet: no cable, "
        "modem: it can not dial",
        "False True",
    ]


def test_a_network_that_is_lost_is_replaced_and_taken_again_after_half_an_hour(
    board: UnixBoard,
) -> None:
    board.wifi = {"hall": HALL["password"]}
    board.cable = True
    script = """
up()
surround(wifi={})
print(link.is_up())
up()
print(link.is_up())
surround(wifi={"hall": "correct horse"})
later(1700)
up()
later(200)
up()
"""
    assert told(board, {**ALL, "order": ["wifi", "ethernet"]}, script) == [
        "127.0.0.1 (wifi)",
        "False",
        "network-down (201): hall: not found, yard: not found",
        "127.0.0.1 (ethernet)",
        "True",
        "127.0.0.1 (ethernet)",
        "127.0.0.1 (wifi)",
    ]


def test_wifi_comes_back_by_itself(one_board: UnixBoard) -> None:
    script = """
up()
surround(wifi={})
print(link.is_up())
time.sleep(300)
print(link.is_up())
surround(wifi={"hall": "correct horse"})
print(link.is_up())
up()
"""
    one_board.wifi = {"hall": HALL["password"]}
    lines = told(one_board, WIFI, script)
    assert lines == ["127.0.0.1 (wifi)", "False", "False", "True", "127.0.0.1 (wifi)"]


def test_a_network_that_leads_nowhere_comes_last(board: UnixBoard) -> None:
    board.wifi = {"hall": HALL["password"], "yard": ""}
    board.cable = True
    document = {**ALL, "order": ["wifi", "ethernet"]}
    ssid = "import network\nprint(network.WLAN(network.STA_IF).config('ssid'))\n"
    assert told(board, document, "up()\nup(True)\nup()\nup(True)") == [
        "127.0.0.1 (wifi)",
        "127.0.0.1 (ethernet)",
        "127.0.0.1 (ethernet)",
        "127.0.0.1 (wifi)",
    ]
    script = f"up()\n{ssid}up(True)\n{ssid}up(True)\n{ssid}"
    lines = told(board, WIFI, script)
    assert lines == ["127.0.0.1 (wifi)", "hall", "127.0.0.1 (wifi)", "yard", *lines[:2]]
    # with nothing else to be had, it is joined anew
    assert told(board, ETHERNET, "up()\nup(True)") == ["127.0.0.1 (ethernet)"] * 2


def test_one_network_at_a_time_is_up(one_board: UnixBoard) -> None:
    script = """
import network
up()
up(True)
print(network.WLAN(network.STA_IF).active())
up(True)
print(network.LAN(phy_addr=0, phy_type=0).active())
"""
    one_board.wifi = {"hall": HALL["password"]}
    one_board.cable = True
    lines = told(one_board, {**WIFI, **ETHERNET, "order": ["wifi", "ethernet"]}, script)
    assert lines == [
        "127.0.0.1 (wifi)",
        "127.0.0.1 (ethernet)",
        "False",
        "127.0.0.1 (wifi)",
        "False",
    ]


def test_what_is_up_outlives_the_modules(one_board: UnixBoard) -> None:
    script = """
import gc, sys
from rim.memory import forget
up()
del link
forget("rim.link", "rim.cellular")
gc.collect()
from rim import link
print(link.is_up(), "rim.cellular" in sys.modules)
up()
"""
    line = modem(one_board)
    lines = told(one_board, CELLULAR, script)
    assert heard(line).count("ATD*99#") == 1
    assert lines == ["127.0.0.1 (cellular)", "True False", "127.0.0.1 (cellular)"]


def test_only_what_is_configured_is_loaded(one_board: UnixBoard) -> None:
    one_board.wifi = {"hall": HALL["password"]}
    script = "up()\nimport sys\nprint([n for n in sys.modules if n[-4:] in 'ernet lular wires'])"
    assert told(one_board, WIFI, script) == ["127.0.0.1 (wifi)", "[]"]


# ---- Wi-Fi


def test_a_station_that_is_seen_comes_before_one_that_hides(one_board: UnixBoard) -> None:
    one_board.wifi = {"hall": HALL["password"], "yard": ""}
    one_board.hidden = ["hall"]
    script = "up()\nimport network\nprint(network.WLAN(network.STA_IF).config('ssid'))"
    assert told(one_board, WIFI, script) == ["127.0.0.1 (wifi)", "yard"]
    one_board.wifi = {"hall": HALL["password"]}
    assert told(one_board, WIFI, script) == ["127.0.0.1 (wifi)", "hall"]


@pytest.mark.parametrize(
    ("air", "why"),
    [({}, "(201): hall: not found"), ({"hall": "another"}, "(202): hall: wrong password")],
)
def test_why_a_station_was_not_joined_is_said_in_words(
    one_board: UnixBoard, air: dict[str, str], why: str
) -> None:
    one_board.wifi = air
    lines = told(one_board, {"wifi": [HALL]}, "up()\nup()")
    assert lines == ["FAILURE network-down " + why] * 2


# ---- Ethernet


@pytest.mark.parametrize(
    "members",
    [
        {
            "phy": "LAN8720",
            "mdc": 23,
            "mdio": 18,
            "power": 12,
            "ref_clk": 17,
            "ref_clk_mode": "out",
        },
        {"phy": "W5500", "spi": 1, "sck": 12, "mosi": 13, "miso": 14, "cs": 10, "int": 11},
    ],
    ids=["RMII", "SPI"],
)
def test_ethernet_is_brought_up_by_a_phy_or_a_chip_on_spi(
    one_board: UnixBoard, members: dict[str, object]
) -> None:
    one_board.cable = True
    assert told(one_board, {"ethernet": members}) == ["127.0.0.1 (ethernet)"]


def test_a_phy_that_this_micropython_does_not_know_is_named(one_board: UnixBoard) -> None:
    [line] = told(one_board, {"ethernet": {**ETHERNET["ethernet"], "phy": "LAN9999"}})
    assert line.startswith("FAILURE network-down: ethernet: ")
    assert "PHY_LAN9999" in line


# ---- modems


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"AT": [None]}, "no answer"),
        ({"AT+CPIN?": ["+CME ERROR: 10"]}, "no SIM"),
        ({"AT+CPIN?": ["+CPIN: SIM PUK\r\n\r\nOK"]}, "the SIM is locked"),
        ({"AT+CPIN?": ["+CPIN: SIM PIN\r\n\r\nOK"]}, "the SIM wants another PIN"),
        ({"AT+CGDCONT=1,": ["ERROR"]}, "APN refused"),
        ({"AT+CGATT?": ["+CGATT: 0\r\n\r\nOK"]}, "no network: antenna, cover, SIM?"),
        ({"AT+CGATT?": [None]}, "no answer"),
        ({"ATD*99#": ["NO CARRIER"]}, "it can not dial"),
        ({"ATD*99#": [None]}, "it can not dial"),
        ({"~": [None]}, "no PPP"),
        ({"~": ["~nak~"]}, "no PPP"),
    ],
)
def test_what_a_modem_can_not_do_is_named(
    one_board: UnixBoard, answers: dict[str, list[str | None]], why: str
) -> None:
    modem(one_board, answers)
    [said] = told(one_board, CELLULAR)
    assert said.startswith("FAILURE network-down")
    assert said.endswith(f": modem: {why}")


def test_a_modem_that_still_carries_the_last_connection_is_woken(board: UnixBoard) -> None:
    line = modem(board, {"AT": [None, "OK"]})
    assert told(board, CELLULAR) == ["127.0.0.1 (cellular)"]
    assert heard(line)[:4] == ["AT", "+++", "AT", "ATH"]


def test_a_modem_that_has_just_got_power_is_waited_for(one_board: UnixBoard) -> None:
    modem(
        one_board,
        {"AT": [None] * 3 + ["OK"], "AT+CPIN?": ["+CME ERROR: 14", "+CPIN: READY\r\n\r\nOK"]},
    )
    assert told(one_board, CELLULAR) == ["127.0.0.1 (cellular)"]


def test_user_and_password_reach_the_provider(one_board: UnixBoard) -> None:
    line = modem(one_board)
    members = {**CELLULAR["cellular"], "user": "me", "password": "pw"}
    assert told(one_board, {"cellular": members}) == ["127.0.0.1 (cellular)"]
    assert heard(line)[-1] == "~me:pw~"


def test_a_pin_is_told_once_and_one_that_was_refused_never_again(one_board: UnixBoard) -> None:
    line = modem(
        one_board,
        {
            "AT+CPIN?": ["+CPIN: SIM PIN\r\n\r\nOK"],
            'AT+CPIN="4321"': ["OK"],
            "AT+CPIN=": ["+CME ERROR: 16"],
        },
    )
    document = {"cellular": {**CELLULAR["cellular"], "pin": "1234"}}
    lines = told(one_board, document, "up()\nup()") + told(one_board, document)
    assert lines == ["FAILURE network-down: modem: the SIM wants another PIN"] * 3
    assert heard(line).count('AT+CPIN="1234"') == 1
    document["cellular"]["pin"] = "4321"
    assert told(one_board, document) == ["127.0.0.1 (cellular)"]
    assert heard(line).count('AT+CPIN="4321"') == 1
