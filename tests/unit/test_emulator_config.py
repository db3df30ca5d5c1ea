"""cloud.toml: what it may hold, and the one line for everything else."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.emulator import config_file
from host_tools.emulator.config import HUB, Config, LinkedHub
from host_tools.emulator.config_file import load
from host_tools.emulator.dps.allocation import Latency
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment, Webhook
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.toml_table import TomlTable
from host_tools.errors import CommandError
from host_tools.keys import decode_key, encode_key

SEED_KEY = (
    "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
)
OF_THE_ISSUE = f"""
[dps]
id_scope = "0ne00002193"
assigning_replies = 2          # answers "assigning" before "assigned"
retry_after = 1                # seconds
[[enrollment_group]]
name = "mylegacydevices"
primary_key = "{SEED_KEY}"
hub = "{HUB}"
[[individual_enrollment]]
registration_id = "bench-1"
primary_key = "{encode_key(bytes(16))}"
secondary_key = "{encode_key(bytes(64))}"
device_id = "pump-7"           # optional
hub = "{HUB}"
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "cloud.toml"
        path.write_text(text, encoding="utf-8")
        return load(path)

    return read


@pytest.fixture
def why(read):
    def why(text):
        with pytest.raises(CommandError) as error:
            read(text)
        line = str(error.value)
        assert "\n" not in line
        return line.partition("cloud.toml, ")[2] or line

    return why


def test_the_file_of_the_issue_is_read(read):
    assert read(OF_THE_ISSUE) == Config(
        id_scope="0ne00002193",
        assigning_replies=2,
        retry_after=1,
        refuse_at="register",
        groups=(EnrollmentGroup("mylegacydevices", HUB, KeyPair(decode_key(SEED_KEY, "it"))),),
        individuals=(
            IndividualEnrollment("bench-1", HUB, KeyPair(bytes(16), bytes(64)), "pump-7"),
        ),
    )


EVERY_KEY = """
[dps]
name = "bench-dps"
throttle = true
[[hub]]
name = "a.azure-devices.net"
weight = 1000
[[hub]]
name = "b.azure-devices.net"
[[latency]]
devices = "eu-?*"
hub = "a.azure-devices.net"
milliseconds = 20
[[latency]]
hub = "c.azure-devices.net"
milliseconds = 0
[[enrollment_group]]
name = "everywhere"
reprovision = "reset"
[[enrollment_group]]
name = "near"
allocation = "geoLatency"
hubs = ["a.azure-devices.net", "c.azure-devices.net"]
reprovision = "never"
[enrollment_group.initial_twin]
tags = { site = "lab" }
[enrollment_group.initial_twin.desired]
interval = 60
[[individual_enrollment]]
registration_id = "asked"
hub = "b.azure-devices.net"
allocation = "custom"
webhook = "http://localhost:7071/api/x?code=1"
webhook_api_version = "2019-03-31"
edge = true
"""


def test_every_other_key_is_read(read):
    assert read(EVERY_KEY) == Config(
        name="bench-dps",
        throttle=True,
        links=(LinkedHub("a.azure-devices.net", 1000), LinkedHub("b.azure-devices.net")),
        latencies=(
            Latency("eu-?*", "a.azure-devices.net", 20),
            Latency("*", "c.azure-devices.net", 0),
        ),
        groups=(
            EnrollmentGroup("everywhere", migrate_data=False),
            EnrollmentGroup(
                "near",
                allocation="geoLatency",
                hubs=("a.azure-devices.net", "c.azure-devices.net"),
                update_hub=False,
                migrate_data=False,
                initial_twin={
                    "tags": {"site": "lab"},
                    "properties": {"desired": {"interval": 60}},
                },
            ),
        ),
        individuals=(
            IndividualEnrollment(
                "asked",
                allocation="custom",
                hubs=("b.azure-devices.net",),
                webhook=Webhook("http://localhost:7071/api/x?code=1", "2019-03-31"),
                edge=True,
            ),
        ),
    )


def test_the_host_of_the_service_begins_with_its_name(read):
    assert read(EVERY_KEY).dps_host == "bench-dps.azure-devices-provisioning.net"


def test_every_key_is_in_the_list_at_the_head_of_the_file():
    for key in re.findall(r"^\[*([a-z_]+)\b", EVERY_KEY + OF_THE_ISSUE, re.MULTILINE):
        assert re.search(rf"\b{key}\b", config_file.__doc__), key


def test_an_empty_file_has_the_scope_and_no_enrollment(read):
    assert read("") == Config(groups=(), individuals=())


def test_keys_may_be_left_to_be_generated(read):
    (group,) = read('[[enrollment_group]]\nname = "g"\nhub = "h"\nenabled = false\n').groups
    assert group == EnrollmentGroup("g", "h", KeyPair(), enabled=False)


def test_every_hub_is_named_once():
    groups = (EnrollmentGroup("a", "one"), EnrollmentGroup("b", "two"))
    assert Config(groups=groups, individuals=(IndividualEnrollment("c", "one"),)).hubs == [
        "one",
        "two",
    ]


GROUP = '[[enrollment_group]]\nname = "g"\nhub = "h"\n'
SINGLE = '[[individual_enrollment]]\nregistration_id = "r"\nhub = "h"\n'
NAMED = '[[enrollment_group]]\nname = "g"\n'
LINK = '[[hub]]\nname = "h"\n'
CUSTOM = GROUP + 'allocation = "custom"\nwebhook = "http://x/?code=c2VjcmV0"\n'
OTHER = SINGLE.replace('"r"', '"s"').replace('"h"', '"H"')
MISTAKES = {
    "[dps]\nid_scope = 7\n": "line 2, [dps], id_scope: must be a text in quotes",
    '[dps]\nid_scope = ""\n': "line 2, [dps], id_scope: '' can not be one: letters, digits",
    '[dps]\nid_scope = "a/b"\n': "line 2, [dps], id_scope: 'a/b' can not be one",
    "[dps]\nassigning_replies = -1\n": (
        "line 2, [dps], assigning_replies: must be a whole number from 0 to 1000"
    ),
    "[dps]\nassigning_replies = true\n": "line 2, [dps], assigning_replies: must be a whole",
    "[dps]\nretry_after = 1.5\n": "line 2, [dps], retry_after: must be a whole number from 0",
    '[dps]\n\nrefuse_at = "never"\n': (
        'line 3, [dps], refuse_at: must be "register" or "connect"'
    ),
    '[dps]\nid-scope = "x"\n': "line 2, [dps], id-scope: no such key here",
    "\n[dsp]\n": "line 2, dsp: no such key here",
    "dps = 7\n": "line 1, dps: must be a table: write [dps]",
    "[enrollment_group]\n": (
        "line 1, enrollment_group: must be a list of tables: write [[enrollment_group]]"
    ),
    "[[enrollment_group]]\n": "line 1, [[enrollment_group]], name: is missing",
    '[[enrollment_group]]\nname = "g"\n': "line 1, [[enrollment_group]], hub: is missing",
    '[[enrollment_group]]\nname = "g h"\nhub = "h"\n': (
        "line 2, [[enrollment_group]], name: the name 'g h': character ' ' at place 2"
    ),
    '[[enrollment_group]]\nname = "g"\nhub = "h:8883"\n': (
        "line 3, [[enrollment_group]], hub: 'h:8883' can not be one: a host name, without a port"
    ),
    GROUP + 'enabled = "no"\n': "line 4, [[enrollment_group]], enabled: must be true or false",
    GROUP + 'key = "x"\n': "line 4, [[enrollment_group]], key: no such key here",
    GROUP + "primary_key = 7\n": "line 4, [[enrollment_group]], primary_key: must be a text",
    "[dps]\nretry_after = " + "9" * 5000: "is not TOML: Exceeds the limit",
    "a = " + "[" * 3000 + "]" * 3000: "is not TOML: ",
    GROUP.replace('"h"', '"a..b"'): "line 3, [[enrollment_group]], hub: 'a..b' can not be one",
    GROUP.replace('"h"', f'"{"a" * 64}"'): "line 3, [[enrollment_group]], hub: 'aaa",
    GROUP.replace('"h"', '"a-.b"'): "line 3, [[enrollment_group]], hub: 'a-.b' can not be one",
    SINGLE + 'device_id = "p"\n' + OTHER + 'device_id = "p"\n': (
        "line 8, [[individual_enrollment]], device_id: 'r' has the device ID 'p' at this hub"
    ),
    SINGLE + 'device_id = "s"\n' + OTHER: (
        "line 6, [[individual_enrollment]], registration_id: 'r' has the device ID 's'"
    ),
    GROUP + 'primary_key = "not Base64!"\n': (
        "line 4, [[enrollment_group]], primary_key: it is not Base64"
    ),
    GROUP + f'primary_key = "{encode_key(bytes(15))}"\n': (
        "line 4, [[enrollment_group]], primary_key: it has 15 bytes, DPS takes 16 to 64"
    ),
    GROUP + f'secondary_key = "{encode_key(bytes(65))}"\n': (
        "line 4, [[enrollment_group]], secondary_key: it has 65 bytes, DPS takes 16 to 64"
    ),
    GROUP + 'primary_key = ""\n': "line 4, [[enrollment_group]], primary_key: it has 0 bytes",
    GROUP + GROUP: "line 5, [[enrollment_group]], name: 'g' is here twice",
    GROUP + SINGLE + SINGLE.replace('"r"', '"R"'): (
        "line 8, [[individual_enrollment]], registration_id: 'R' is here twice"
    ),
    SINGLE.replace('"r"', '"r."'): "line 2, [[individual_enrollment]], registration_id: the name",
    SINGLE + 'device_id = "a/b"\n': (
        "line 4, [[individual_enrollment]], device_id: 'a/b' can not be one"
    ),
    SINGLE + GROUP + SINGLE.replace('"r"', "7"): (
        "line 8, [[individual_enrollment]], registration_id: must be a text in quotes"
    ),
    "[dps\n": "is not TOML",
    '[dps]\nname = "a.b"\n': "line 2, [dps], name: 'a.b' can not be one: letters, digits and",
    '[dps]\nthrottle = "yes"\n': "line 2, [dps], throttle: must be true or false",
    "[[hub]]\nweight = 1\n": "line 1, [[hub]], name: is missing",
    LINK + "weight = 0\n": "line 3, [[hub]], weight: must be a whole number from 1 to 1000",
    LINK + "weight = 1001\n": "line 3, [[hub]], weight: must be a whole number from 1 to 1000",
    LINK + LINK.upper().replace("HUB]]", "hub]]").replace("NAME", "name"): (
        "line 4, [[hub]], name: 'H' is here twice"
    ),
    '[[latency]]\nhub = "h"\n': "line 1, [[latency]], milliseconds: is missing",
    '[[latency]]\ndevices = "a b"\n': "line 2, [[latency]], devices: 'a b' can not be one",
    GROUP + 'hubs = ["a"]\n': "line 3, [[enrollment_group]], hub: is here besides hubs",
    NAMED + "hubs = []\n": "line 3, [[enrollment_group]], hubs: must name at least one",
    NAMED + 'hubs = ["a", "A"]\n': "line 3, [[enrollment_group]], hubs: must name at least one",
    NAMED + 'hubs = "a"\n': "line 3, [[enrollment_group]], hubs: must be a list of texts",
    NAMED + "hubs = [7]\n": "line 3, [[enrollment_group]], hubs: must be a list of texts",
    NAMED + 'hubs = ["a:1"]\n': "line 3, [[enrollment_group]], hubs: 'a:1' can not be one: a host",
    GROUP + 'allocation = "random"\n': (
        'line 4, [[enrollment_group]], allocation: must be "hashed" or "geoLatency" or "static"'
    ),
    NAMED + 'hubs = ["a", "b"]\nallocation = "static"\n': (
        'line 4, [[enrollment_group]], allocation: is "static": name one hub'
    ),
    GROUP + 'allocation = "custom"\n': "line 1, [[enrollment_group]], webhook: is missing",
    GROUP + 'webhook = "http://x/"\n': "line 4, [[enrollment_group]], webhook: is for allocation",
    CUSTOM.replace("http:", "ftp:"): "line 5, [[enrollment_group]], webhook: can not be one: an",
    CUSTOM + 'webhook_api_version = "new"\n': (
        "line 6, [[enrollment_group]], webhook_api_version: 'new' can not be one: a date"
    ),
    GROUP + 'reprovision = "maybe"\n': (
        'line 4, [[enrollment_group]], reprovision: must be "migrate" or "reset" or "never"'
    ),
    GROUP + "initial_twin = 7\n": "line 4, [[enrollment_group]], initial_twin: must be a table",
    GROUP + GROUP.replace('"g"', '"k"') + "[enrollment_group.initial_twin]\ntags = 7\n": (
        "line 8, [enrollment_group.initial_twin], tags: must be a table"
    ),
    GROUP + "[enrollment_group.initial_twin]\ndesired = { at = 2020-01-01 }\n": (
        "line 5, [enrollment_group.initial_twin], desired: must be a table of what JSON has"
    ),
    GROUP + '[enrollment_group.initial_twin.tags]\n"a.b" = 1\n': (
        "line 4, [enrollment_group.initial_twin], tags: a property's name"
    ),
    GROUP + "[enrollment_group.initial_twin]\nreported = {}\n": (
        "line 5, [enrollment_group.initial_twin], reported: no such key here"
    ),
}


@pytest.mark.parametrize(("text", "line"), list(MISTAKES.items()), ids=range(len(MISTAKES)))
def test_a_mistake_is_named_with_its_place(why, text, line):
    assert line in why(text)


def test_a_key_of_the_wrong_type_is_complained_about_once(why):
    assert why(GROUP + "primary_key = 7\n") == (
        "line 4, [[enrollment_group]], primary_key: must be a text in quotes"
    )


def test_one_device_id_at_two_hubs_is_two_devices(read):
    one, other = SINGLE + 'device_id = "p"\n', OTHER.replace('"H"', '"i"') + 'device_id = "p"\n'
    assert len(read(one + other).individuals) == 2


def test_a_byte_order_mark_is_passed_over(read):
    assert read("\ufeff" + OF_THE_ISSUE) == read(OF_THE_ISSUE)


def test_a_key_does_not_show_in_a_complaint(why):
    assert "c2VjcmV0" not in why(GROUP + 'primary_key = "c2VjcmV0c2Vjcm"\n')
    assert "c2VjcmV0" not in why(CUSTOM.replace("http:", "ftp:"))


def test_who_names_no_hub_may_get_any_that_is_linked(read):
    (group,) = read(LINK + NAMED).groups
    assert (group.hubs, group.allocation) == ((), "hashed")


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "cloud.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match="is not TOML"):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"can not read .*cloud\.toml: No such file"):
        load(tmp_path / "cloud.toml")


@settings(deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_is_a_config_or_one_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        load(path)
    except CommandError as error:
        assert "\n" not in str(error)


values = st.recursive(
    st.booleans() | st.integers(-9, 99999) | st.text(max_size=9) | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
keys = st.sampled_from(
    ["name", "registration_id", "device_id", "hub", "hubs", "allocation", "webhook", "weight",
     "reprovision", "initial_twin", "tags", "primary_key", "enabled", "devices", "milliseconds"]
)  # fmt: skip
tables = st.sampled_from(["dps", "hub", "latency", "enrollment_group", "individual_enrollment"])
content = st.dictionaries(keys, values | st.sampled_from(["h", "custom", "static", "http://x/"]))


@settings(deadline=None)
@given(st.dictionaries(tables, content | st.lists(content, max_size=3)))
def test_any_document_is_a_config_or_a_complaint(document):
    try:
        config = config_file.parse(TomlTable("cloud.toml", "", "", document))
    except CommandError as error:
        assert str(error).startswith("cloud.toml, line 1")
    else:
        assert config.hubs


def test_the_guide_to_the_emulator_shows_a_config_that_is_taken(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
    [block] = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    path = tmp_path / "cloud.toml"
    path.write_text(block)
    config = load(path)
    assert config.groups[0].initial_twin == {
        "tags": {"site": "lab"},
        "properties": {"desired": {"interval": 60}},
    }
    assert config.individuals[0].allocation == "custom"
