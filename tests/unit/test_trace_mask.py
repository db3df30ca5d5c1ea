"""What the trace may show of foreign text: never a secret, never a terminal's control codes."""

import base64
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from host_tools.emulator.trace.entry import KEPT
from host_tools.emulator.trace.mask import HIDDEN, LONGEST, body, is_secret, masked, shown

KEY = base64.b64encode(bytes(range(3, 67))).decode()
SIG = base64.b64encode(bytes(range(200, 232))).decode()
names = st.sampled_from(
    ["key", "apiKey", "wifi password", "SharedAccessKey", "token", "mysig", "client_secret", "psk"]
)
values = st.recursive(
    st.just("GEHEIM-7d1f") | st.just(["GEHEIM-7d1f", 1]),
    lambda inner: (
        st.dictionaries(st.text(max_size=4), inner, min_size=1, max_size=2)
        | st.lists(inner, min_size=1, max_size=2)
    ),
    max_leaves=3,
)
texts = st.text(max_size=12)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ('{"t":21.5, "apiKey": "abc", "n":1}', '{"t":21.5, "apiKey": "***", "n":1}'),
        ('{"token":{"a":[1,"x"]},"b":2}', '{"token":"***","b":2}'),
        ('{"keys":["a","b"]}', '{"keys":"***"}'),
        ('[{"password":1234}]', '[{"password":"***"}]'),
        ('{"signal":-70,"design":"a","assignedHub":"h"}', None),
        ('{"\\u006bey":"abc"}', '{"\\u006bey":"***"}'),
        ('{"symmetricKey":{"enrollmentGroupId":"g"}}', None),
        ('{"symmetricKey":{"primaryKey":"a"}}', '{"symmetricKey":{"primaryKey":"***"}}'),
        ('{"symmetricKey":"a"}', '{"symmetricKey":"***"}'),
        ('{"inner":"{\\"key\\":\\"abc\\"}"}', '{"inner":"{\\"key\\":\\"***\\"}"}'),
        ('{"cs":"HostName=h;SharedAccessKey=abc="}', '{"cs":"HostName=h;SharedAccessKey=***"}'),
        (f'{{"x":"{KEY}","y":"{SIG}"}}', '{"x":"***","y":"***"}'),
        ('{"key":"not ended', '{"key":"***"'),
        ("{key: abc, t: 1}", '{key: "***", t: 1}'),
        (
            "HostName=h;DeviceId=d;SharedAccessKey=abc=",
            "HostName=h;DeviceId=d;SharedAccessKey=***",
        ),
        ("SharedAccessSignature sr=h%2Fd&sig=ab%2Bc&se=17", None),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ('password="two words" t=1', "password=*** t=1"),
        ("<password>abc</password><t>1</t>", "<password>***</password><t>1</t>"),
        (f"my key is {KEY}.", "my key is ***."),
        ("%6Bey=abc&t=1", "%6Bey=***&t=1"),
        ("t=21.5 °C", None),
        ("", None),
    ],
)
def test_values_of_secret_names_are_hidden_and_nothing_else(text, safe):
    if "sig=" in text:
        safe = "SharedAccessSignature sr=h%2Fd&sig=***&se=17"
    assert masked(text) == (text if safe is None else safe)


@settings(deadline=None)  # not a matter of time
@given(names, values, texts, texts, st.data())
def test_no_cut_lets_a_named_secret_through(name, value, before, after, data):
    document = json.dumps({"a": before, name: value, "b": after}).encode()
    cut = data.draw(st.integers(0, len(document)))
    assert "GEHEIM" not in body(document[:cut], cut=cut < len(document))


@settings(deadline=None)  # not a matter of time
@given(st.sampled_from([KEY, SIG]), st.integers(0, 30), st.booleans())
def test_no_cut_lets_half_a_key_through(key, kept, as_json):
    text = f'{{"x":"{key}"}}' if as_json else f"x {key} y"
    seen = body(text[: 6 + kept].encode(), cut=True)
    assert not any(key[at : at + 8] in seen for at in range(len(key) - 8))


@settings(deadline=None)  # not a matter of time
@given(st.binary(max_size=2 * KEPT), st.booleans())
@example(b'{"' * 400, True)
@example(b"\\" * 999, False)
def test_any_body_can_be_shown(data, cut):
    seen = body(data, cut)
    assert seen.isprintable()
    assert len(seen) <= LONGEST


@settings(deadline=None)  # not a matter of time
@given(st.text(max_size=300))
def test_any_text_can_be_shown(text):
    assert shown(text).isprintable()
    assert len(shown(text)) <= LONGEST


def test_a_body_is_text_where_it_can_be_and_hex_where_not():
    assert body("21 °C\n".encode()) == "21 °C."
    assert body(b"\x00\xff") == "0x00ff"
    assert body(bytes(200)) == "0x" + "00" * 96 + "..."
    assert body(b"\x00\x01password\x02abc") == f"{HIDDEN} (binary, and it names a secret)"
    assert body("ab °".encode()[:-1], cut=True) == "ab "
    assert body(b"x" * 1000) == "x" * 197 + "..."


def test_json_keeps_the_blanks_and_numbers_it_was_sent_with():
    assert masked('{ "a" : 1.50 ,\n "b":[ 1e3 ] }') == '{ "a" : 1.50 ,\n "b":[ 1e3 ] }'


def test_json_in_json_is_looked_into_but_not_for_ever():
    text = '{"key":"abc"}'
    for _ in range(6):
        text = json.dumps({"in": text})
    assert "abc" not in masked(text)


@pytest.mark.parametrize("name", ["signal", "sigma", "insight", "designed", "t", "assignedHub"])
def test_a_harmless_name_is_harmless(name):
    assert not is_secret(name)
