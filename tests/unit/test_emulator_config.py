"""cloud.toml: what it may hold, and the one line for everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.config import HUB, Config
from host_tools.emulator.config_file import load
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment, KeyPair
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


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "cloud.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match="is not TOML"):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"can not read .*cloud\.toml: No such file"):
        load(tmp_path / "cloud.toml")


@given(text=st.text(max_size=80))
def test_any_text_is_a_config_or_one_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        load(path)
    except CommandError as error:
        assert "\n" not in str(error)
