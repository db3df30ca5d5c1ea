"""The configuration: what is taken, what is refused, and that nothing else happens."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.configuration import read
from keystead.failure import Failure

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
WIFI = {"wifi": [{"ssid": "hall"}]}
LAN = {"phy": "LAN8720", "mdc": 23, "mdio": 18}
CHIP = {"phy": "W5500", "spi": 1, "sck": 12, "mosi": 13, "miso": 14, "cs": 10, "int": 11}
MODEM = {"uart": 1, "tx": 17, "rx": 16, "apn": "internet"}
WHOLE = {
    "wifi": [{"ssid": "hall", "password": "8 bytes."}, {"ssid": "yard"}],
    "ethernet": {
        **LAN,
        "phy_addr": 1,
        "power": 12,
        "reset": 5,
        "ref_clk": 17,
        "ref_clk_mode": "in",
    },
    "cellular": {**MODEM, "baud": 9600, "user": "me", "password": "pw", "pin": "1234"},
    "order": ["cellular", "wifi"],
    "ntp": ["one", "two"],
    "journal": {"bytes": 20480, "days": 3},
    "log": "error",
    "payload": {"a": [1]},
    "spread": 0,
    "app": ["what", {"ever": None}],
}

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=())),  # half surrogate pairs too: JSON can say them
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def refusal(document: object) -> str:
    """The words with which it is refused."""
    with pytest.raises(Failure) as caught:
        read(document)
    assert caught.value.reason in ("config-invalid", "network-unset")
    return caught.value.detail


@given(anything)
def test_whatever_json_says_only_a_failure_is_raised(document: object) -> None:
    refusal(document)


def places(document: object) -> list[tuple[object, ...]]:
    """The paths of all that is in it."""
    if isinstance(document, dict):
        pairs = list(document.items())
    elif isinstance(document, list):
        pairs = list(enumerate(document))
    else:
        return [()]
    return [()] + [(key, *path) for key, value in pairs for path in places(value)]


@given(st.sampled_from(places(WHOLE)), anything)
def test_whatever_takes_a_member_s_place_only_a_failure_is_raised(
    path: tuple[object, ...], value: object
) -> None:
    document = {"": json.loads(json.dumps(WHOLE))}
    inside: object = document
    path = ("", *path)
    for key in path[:-1]:
        inside = inside[key]  # type: ignore[index]
    inside[path[-1]] = value  # type: ignore[index]
    try:
        settings = read(document[""])
    except Failure as failure:
        assert failure.reason in ("config-invalid", "network-unset")
        return
    assert settings.links
    assert type(settings.spread) is int
    assert all(type(host) is str for host in settings.ntp)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_documented_example_is_taken(text: str) -> None:
    assert read(json.loads(text)).links


def test_every_member_is_documented() -> None:
    assert len(EXAMPLES) >= 6
    table = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert table == set(WHOLE)
    for member in {*WHOLE["ethernet"], *CHIP, *WHOLE["cellular"]}:
        assert f"`{member}`" in PAGE, member


def test_what_was_written_is_what_the_firmware_gets() -> None:
    settings = read(WHOLE)
    assert settings.links == [("cellular", WHOLE["cellular"]), ("wifi", WHOLE["wifi"])]
    assert settings.ntp == ["one", "two"]
    assert settings.journal == (20480, 3 * 86400)
    assert settings.log == 3
    assert settings.payload == {"a": [1]}
    assert settings.spread == 0
    assert settings.app == ["what", {"ever": None}]
    assert settings.problem == ""


def test_what_is_left_out_has_a_default() -> None:
    settings = read(WIFI)
    assert settings.links == [("wifi", [{"ssid": "hall"}])]
    assert (settings.ntp, settings.journal, settings.log) == ([], None, 1)
    assert (settings.payload, settings.spread, settings.app) == (None, 60, None)
    assert read({**WIFI, "journal": {}}).journal == (65536, 7 * 86400)


def test_wires_come_before_the_radio_and_that_before_a_modem() -> None:
    settings = read({"cellular": MODEM, **WIFI, "ethernet": LAN})
    assert [kind for kind, _ in settings.links] == ["ethernet", "wifi", "cellular"]


def test_one_ntp_host_may_stand_alone_and_an_empty_text_is_none() -> None:
    assert read({**WIFI, "ntp": "one"}).ntp == ["one"]
    assert read({**WIFI, "ntp": ""}).ntp == []
    assert read({"wifi": [{"ssid": "hall", "password": ""}]}).links


def test_half_a_surrogate_pair_is_a_text() -> None:
    assert read(json.loads('{"wifi": [{"ssid": "\\ud800"}]}')).links


def test_an_order_may_name_what_is_not_there() -> None:
    assert read({**WIFI, "order": ["cellular", "wifi"]}).links[0][0] == "wifi"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "it is not an object"),
        ({}, "names no network"),
        ({**WIFI, "order": ["cellular"]}, "names no network"),
        ({"wifi": []}, "wifi is not a list with an entry"),
        ({"wifi": {"ssid": "hall"}}, "wifi is not a list with an entry"),
        ({"wifi": [*WIFI["wifi"], {}]}, "wifi[1].ssid is missing"),
        ({"wifi": [{"ssid": "x" * 33}]}, "wifi[0].ssid is not a text of 1-32 bytes"),
        ({"wifi": [{"ssid": "\u00e9" * 17}]}, "wifi[0].ssid is not a text of 1-32 bytes"),
        ({"wifi": [{"ssid": ""}]}, "wifi[0].ssid is not a text of 1-32 bytes"),
        ({"wifi": [{"ssid": "a", "pasword": ""}]}, "wifi[0].pasword is unknown"),
        ({"wifi": [{"ssid": "a", "password": "7 bytes"}]}, "wifi[0].password is not a text"),
        ({"wifi": [{"ssid": "a", "password": 12345678}]}, "wifi[0].password is not a text"),
        ({"ethernet": {**LAN, "mdc": True}}, "ethernet.mdc is not a whole number of 0-54"),
        ({"ethernet": {**LAN, "mdc": 1.0}}, "ethernet.mdc is not a whole number of 0-54"),
        ({"ethernet": {**LAN, "mdc": "1"}}, "ethernet.mdc is not a whole number of 0-54"),
        ({"ethernet": {**LAN, "ref_clk_mode": "up"}}, "ethernet.ref_clk_mode is not in|out"),
        ({"ethernet": {**LAN, "cs": 1}}, "ethernet.cs is unknown"),
        ({"ethernet": {**CHIP, "mdc": 1}}, "ethernet.mdc is unknown"),
        ({"ethernet": {"phy": "W5500", "spi": 1}}, "ethernet.sck is missing"),
        ({"ethernet": []}, "ethernet is not an object"),
        ({"cellular": {**MODEM, "pin": 1234}}, "cellular.pin is not a text"),
        ({"cellular": {"uart": 1, "tx": 1, "rx": 2}}, "cellular.apn is missing"),
        ({**WIFI, "wfi": 1}, "wfi is unknown"),
        ({**WIFI, "order": ["lan"]}, "order[0] is not ethernet|wifi|cellular"),
        ({**WIFI, "order": "wifi"}, "order is not a list"),
        ({**WIFI, "ntp": [""]}, "ntp is not a text"),
        ({**WIFI, "ntp": None}, "ntp is not a text"),
        ({**WIFI, "journal": {"days": 0}}, "journal.days is not a whole number of 1-3650"),
        ({**WIFI, "journal": {"bytes": ""}}, "journal.bytes is not a whole number"),
        ({**WIFI, "journal": None}, "journal is not an object"),
        ({**WIFI, "log": "all"}, "log is not debug|info|warning|error"),
        ({**WIFI, "payload": []}, "payload is not an object"),
        ({**WIFI, "spread": ""}, "spread is not a whole number of 0-86400"),
        ({**WIFI, "spread": 86401}, "spread is not a whole number of 0-86400"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_key_that_is_wrong_is_named(document: object, words: str) -> None:
    assert words in refusal(document)


@pytest.mark.parametrize("path", [("wifi", 0), ("cellular",)])
def test_no_password_is_in_a_failure(path: tuple[str | int, ...]) -> None:
    document = json.loads(json.dumps(WHOLE))
    inside = document
    for key in path:
        inside = inside[key]
    inside["password"] = "secret" * 20
    assert "secret" not in refusal(document)
