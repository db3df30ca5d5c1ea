"""Which SAS tokens are good, and the reason why the others are not."""

import binascii
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.access import AccessDenied, Reason, Resource, Token, check, check_key
from keystead.sas import hmac_sha256, sas_token

TOKENS = json.loads((Path(__file__).parents[1] / "vectors" / "sas.json").read_text())["tokens"]
KEY = bytes(range(32))
OTHER = bytes(range(32, 64))
NOW = 1767225599.5  # half a second before the vectors expire
EXPIRY = 1767225600
RESOURCE = Resource({"0ne00002193"}, ("registrations", "dev-1"))
PLAIN = "0ne00002193/registrations/dev-1"


def admit(password, resource=RESOURCE, keys=(KEY,), now=NOW, policies=("", "registration")):
    token = Token.parse(password.encode())
    check(token, resource, now, policies)
    check_key(token, keys)


def reason(password, **how):
    with pytest.raises(AccessDenied) as denied:
        admit(password, **how)
    assert "sig=" not in str(denied.value)
    return denied.value.reason


def signed(sr, se=EXPIRY, key=KEY, escape=lambda text: quote(text, safe="")):
    """The fields of a token that signs sr and se as they stand."""
    mac = binascii.b2a_base64(hmac_sha256(key, f"{sr}\n{se}".encode()), newline=False).decode()
    return {"sr": sr, "sig": escape(mac), "se": str(se)}


def written(fields, order=None):
    names = order or list(fields)
    return "SharedAccessSignature " + "&".join(f"{name}={fields[name]}" for name in names)


V1 = TOKENS[0]
# the resource as it stands in sr is what is signed: other spellings, other signatures
SPELLINGS = (
    "sr=0ne00002193%2fregistrations%2fsn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
    "&sig=i1E0rLNHAvoaVV3t%2bLnPqT75ZsRx7hNtuqvNCnHBrC8%3d&se=1767225600&skn=registration",
    "sr=0ne00002193/registrations/sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
    "&sig=FXl5UOWD%2BabzZ5NEk1ahgnILsQhKOWzRAoF5d4S5vis%3D&se=1767225600&skn=registration",
)
VECTORS = {one["name"]: one for one in TOKENS} | {
    name: {**V1, "token": "SharedAccessSignature " + token}
    for name, token in zip(("V1b", "V1c"), SPELLINGS, strict=True)
}


@pytest.mark.parametrize("vector", list(VECTORS.values()), ids=list(VECTORS))
def test_the_six_vectors_are_accepted(vector):
    host, *path = vector["resource"].split("/")
    key = binascii.a2b_base64(vector["key"])
    admit(vector["token"], Resource({host}, path), (OTHER, key), policies=(vector["policy"],))


def lower(text):
    return quote(text, safe="").replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d")


STYLES = {
    "Python DPS: %2F, no skn": written(signed("0ne00002193%2Fregistrations%2Fdev-1")),
    "Node DPS: raw slashes, skn before se": written(
        {**signed(PLAIN), "skn": "registration"}, ["sr", "sig", "skn", "se"]
    ),
    "C DPS: %2f and %3d": written(
        {
            **signed("0ne00002193%2fregistrations%2fdev-1", escape=lower),
            "skn": "registration",
        }
    ),
    "documents: sig first, sr last": written(
        {**signed("0ne00002193%2Fregistrations%2Fdev-1"), "skn": "registration"},
        ["sig", "se", "skn", "sr"],
    ),
    "azure-sdk-for-c: mixed case": written(
        signed("0ne00002193%2fregistrations%2Fdev-1", escape=lower)
    ),
    ".NET: upper case, skn empty": written(
        {**signed("0ne00002193%2Fregistrations%2Fdev-1"), "skn": ""}
    ),
    "scope in capitals": written(signed("0NE00002193/registrations/dev-1")),
    "a prefix at a segment's border": written(signed("0ne00002193%2Fregistrations")),
    "the scope alone": written(signed("0ne00002193")),
    "Keystead's own": sas_token(PLAIN, KEY, EXPIRY, "registration"),
}


@pytest.mark.parametrize("token", list(STYLES.values()), ids=list(STYLES))
def test_every_style_that_signs_what_it_sends_is_accepted(token):
    admit(token)


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_either_key_is_accepted(key):
    admit(sas_token(PLAIN, key, EXPIRY), keys=(KEY, OTHER))


def without(name):
    fields = signed(PLAIN)
    del fields[name]
    return written(fields)


REFUSED = {
    "": Reason.NO_TOKEN,
    "SharedAccessSignature": Reason.MALFORMED,
    "Bearer abc": Reason.MALFORMED,
    "SharedAccessSignature sr": Reason.MALFORMED,
    without("sr"): Reason.NO_RESOURCE,
    without("sig"): Reason.NO_SIGNATURE,
    without("se"): Reason.NO_EXPIRY,
    written({**signed(PLAIN), "sr": ""}): Reason.NO_RESOURCE,
    written(signed(PLAIN)) + "&se=9": Reason.REPEATED,
    written(signed(PLAIN, "17672256oo")): Reason.BAD_EXPIRY,
    written(signed(PLAIN, "-1")): Reason.BAD_EXPIRY,
    written(signed(PLAIN, "1e99")): Reason.BAD_EXPIRY,
    written(signed(PLAIN, "١٢٣")): Reason.BAD_EXPIRY,
    written(signed(PLAIN, "9" * 40)): Reason.BAD_EXPIRY,
    written({**signed(PLAIN), "sig": "short"}): Reason.BAD_SIGNATURE,
    written({**signed(PLAIN), "sig": "%00"}): Reason.BAD_SIGNATURE,
    written({**signed(PLAIN), "sig": "ü"}): Reason.BAD_SIGNATURE,
    sas_token(PLAIN, KEY, 1767225599): Reason.EXPIRED,
    sas_token("0ne00002193/registrations/dev-2", KEY, EXPIRY): Reason.WRONG_RESOURCE,
    sas_token("0ne00002193/registrations/DEV-1", KEY, EXPIRY): Reason.WRONG_RESOURCE,
    sas_token("0ne00002193/registrations/dev", KEY, EXPIRY): Reason.WRONG_RESOURCE,
    sas_token("0ne00002194/registrations/dev-1", KEY, EXPIRY): Reason.WRONG_RESOURCE,
    sas_token(PLAIN + "/more", KEY, EXPIRY): Reason.WRONG_RESOURCE,
    sas_token("myhub.azure-devices.net/devices/dev-1", KEY, EXPIRY): Reason.WRONG_RESOURCE,
    sas_token(PLAIN, KEY, EXPIRY, "iothubowner"): Reason.WRONG_POLICY,
    sas_token(PLAIN, OTHER, EXPIRY): Reason.WRONG_KEY,
    written({**signed(PLAIN), "sr": "0ne00002193%2Fregistrations%2Fdev-1"}): Reason.WRONG_KEY,
    written({**signed(PLAIN), "se": "1767225601"}): Reason.WRONG_KEY,
    sas_token(PLAIN, binascii.b2a_base64(KEY, newline=False), EXPIRY): Reason.UNDECODED_KEY,
}


@pytest.mark.parametrize(("token", "why"), list(REFUSED.items()), ids=range(len(REFUSED)))
def test_what_is_not_good_is_refused_with_its_reason(token, why):
    assert reason(token) is why


def test_a_plus_that_is_not_encoded_is_a_blank_and_fails():
    for expiry in range(EXPIRY, EXPIRY + 100):
        fields = signed(PLAIN, expiry, escape=lambda text: text)
        if "+" in fields["sig"]:
            break
    assert reason(written(fields)) is Reason.BAD_SIGNATURE


def test_a_token_is_good_until_its_expiry_and_not_at_it():
    token = sas_token(PLAIN, KEY, EXPIRY)
    admit(token, now=EXPIRY - 0.001)
    assert reason(token, now=EXPIRY) is Reason.EXPIRED


def test_a_password_that_is_not_text_is_refused():
    with pytest.raises(AccessDenied) as denied:
        Token.parse(b"SharedAccessSignature \xff=1")
    assert denied.value.reason is Reason.MALFORMED


def test_no_password_is_refused():
    with pytest.raises(AccessDenied) as denied:
        Token.parse(None)
    assert denied.value.reason is Reason.NO_TOKEN


def test_a_token_does_not_show_its_signature():
    fields = signed(PLAIN)
    assert fields["sig"][:8] not in repr(Token.parse(written(fields).encode()))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_password_is_a_token_or_denied(password):
    try:
        Token.parse(password)
        Token.parse(b"SharedAccessSignature " + password)
    except AccessDenied as denied:
        assert denied.reason in Reason


@given(st.text(max_size=60), st.text(max_size=60))
def test_nobody_gets_in_by_luck(sr, sig):
    with pytest.raises(AccessDenied):
        admit(f"SharedAccessSignature sr={sr}&sig={sig}&se={EXPIRY}")
