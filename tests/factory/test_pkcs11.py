"""A group key that never leaves its token: SoftHSM2 on the other end of PKCS#11."""

import base64
import functools
import os
import ssl
import stat
from dataclasses import dataclass

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from host_tools.errors import CommandError
from host_tools.key_sources import open_source, token_errors, token_module
from host_tools.key_sources.token_uri import TokenUri, parse_uri
from host_tools.toolchain import softhsm
from host_tools.toolchain.host import Host
from host_tools.toolchain.log import Log
from host_tools.toolchain.sources import Source
from tests.factory.keys_bench import CANARY, DEVICE_KEY, NAME, keystead, seen_in

pkcs11 = pytest.importorskip("pkcs11")
softhsm_bench = pytest.importorskip("tests.factory.softhsm_bench")
PIN = softhsm_bench.PIN
KEY = "token=mill%207;object=dps-group"


@pytest.fixture(scope="session")
def tokens(tmp_path_factory):
    """Return two tokens: "mill 7" with keys good and bad, "mill 8" with none; or skip."""
    return _tokens(tmp_path_factory.getbasetemp() / "softhsm")


@functools.cache  # whoever imports the fixture has another one, in the same library
def _tokens(folder):
    try:
        module, util = softhsm.found()
    except CommandError as why:
        pytest.skip(str(why))
    made = softhsm_bench.Tokens(module, util, folder)
    made.settle()
    made.add("mill 7")
    made.add("mill 8")
    os.environ |= made.environ  # the module reads it when it is loaded, once a process
    made.put("mill 7", "dps-group", CANARY)
    made.put("mill 7", "two", bytes(32))
    made.put("mill 7", "two", bytes(range(32)), id=b"\x00\xff")
    made.put("mill 7", "unsigning", bytes(32), sign=False)
    made.put("mill 7", "open", bytes(32), sensitive=False, extractable=True)
    made.put("mill 7", "unwrapped", bytes(32), sensitive=False)
    made.put("mill 7", "wrapped", bytes(32), extractable=True)
    aes = pkcs11.KeyType.AES
    made.put("mill 7", "aes", bytes(32), key_type=aes)
    return made


@pytest.fixture(autouse=True)
def _pin(monkeypatch):
    for name in ("KEYSTEAD_KEY_SOURCE", "KEYSTEAD_GROUP_KEY", "PKCS11_MODULE_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KEYSTEAD_PIN", PIN)


def refusal(place):
    with pytest.raises(CommandError) as error:
        open_source(place)
    text = str(error.value)
    assert PIN not in text
    assert "\n" not in text
    return text


def test_the_token_derives_what_the_key_would(tokens):
    with open_source(tokens.uri(KEY)) as source:
        assert source.label == "the key 'dps-group' in token 'mill 7'"
        assert base64.b64encode(source.derive(NAME)).decode() == DEVICE_KEY
    assert "KEYSTEAD_PIN" not in os.environ


def test_the_key_can_not_be_read_out_of_it(tokens):
    with tokens.session("mill 7") as session:
        key = session.get_key(label="dps-group")
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


@pytest.mark.parametrize(
    "path", [KEY, "id=dps-group", "token=mill%207;id=%64ps-group;type=secret-key",
             "model=SoftHSM%20v2;manufacturer=SoftHSM%20project;object=dps-group"],
)  # fmt: skip
def test_a_key_is_named_by_whatever_tells_it_apart(tokens, path):
    place = tokens.uri(path)
    if "token" not in path:
        assert "more than one token" in refusal(place)
        place = tokens.uri(f"{path};token=mill%207")
    with open_source(place) as source:
        assert base64.b64encode(source.derive(NAME)).decode() == DEVICE_KEY


def test_many_ids_are_derived_by_the_command(tokens, tmp_path):
    pin = tmp_path / "pin"
    pin.touch(0o600)
    pin.write_text(PIN + "\n")
    place = tokens.uri(KEY, f"&pin-source=file:{pin}")
    names = "".join(f"sn-{number}\n" for number in range(300)) + NAME + "\n"
    done = keystead("derive-key", "--key-source", place, stdin=names, **tokens.environ)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (0, "", 301)
    assert lines[-1] == f"{NAME}\t{DEVICE_KEY}"
    assert seen_in(done.stdout.encode()) == []


def test_a_pin_that_others_may_read_is_refused(tokens, tmp_path):
    pin = tmp_path / "pin"
    pin.write_text(PIN)
    pin.chmod(0o644)
    assert stat.S_IMODE(pin.stat().st_mode) == 0o644
    assert f"run `chmod 600 {pin}`" in refusal(tokens.uri(KEY, f"&pin-source=file:{pin}"))


def test_a_second_key_of_a_token_needs_no_second_pin(tokens):
    with open_source(tokens.uri(KEY)) as first, open_source(tokens.uri(KEY)) as second:
        assert first.derive(NAME) == second.derive(NAME)


def test_a_session_that_is_over_is_told(tokens):
    with open_source(tokens.uri(KEY)) as first:
        second = open_source(tokens.uri(KEY))
        first.close()
        with pytest.raises(CommandError, match=r"has ended|wants a PIN"):
            second.derive(NAME)
        second.close()


def test_a_wrong_pin_is_told_and_not_tried_twice(tokens, monkeypatch):
    monkeypatch.setenv("KEYSTEAD_PIN", "111111")
    assert refusal(tokens.uri(KEY)).startswith("token 'mill 7': the PIN is wrong; some tokens")
    monkeypatch.setenv("KEYSTEAD_PIN", PIN)
    with open_source(tokens.uri(KEY)) as source:
        assert len(source.derive(NAME)) == 32


def test_after_a_wrong_pin_tls_works_as_before(tokens, monkeypatch):
    ca = ssl.PEM_cert_to_DER_cert(trustme.CA().cert_pem.bytes().decode())
    monkeypatch.setenv("KEYSTEAD_PIN", "111111")
    refusal(tokens.uri(KEY))
    ssl.create_default_context(cadata=ca)  # the token's OpenSSL is Python's


@dataclass
class Worn:
    """A token as its slot shows it after a wrong PIN; SoftHSM counts none."""

    flags: object

    @property
    def slot(self):
        return self

    def get_token(self):
        return self


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("USER_PIN_COUNT_LOW", "the PIN is wrong; some tokens lock after a few wrong ones"),
        ("USER_PIN_FINAL_TRY", "the PIN is wrong, and the next wrong one locks the token"),
        ("USER_PIN_LOCKED", "the PIN is wrong, and it is locked after too many wrong PINs"),
    ],
)
def test_how_many_tries_are_left_is_told_as_far_as_the_token_tells(flag, words):
    with (
        pytest.raises(CommandError, match=words),
        token_errors.told("token 'x'", Worn(pkcs11.TokenFlag[flag])),
    ):
        raise pkcs11.PinIncorrect


def test_a_pin_source_that_is_a_program_is_not_run(tokens, tmp_path):
    left = tmp_path / "left"
    assert "pin-source names a program" in refusal(
        tokens.uri(KEY, f"&pin-source=%7Ctouch%20{left}")
    )
    assert not left.exists()


def test_without_a_pin_it_says_where_to_put_one(tokens):
    done = keystead("derive-key", NAME, "--key-source", tokens.uri(KEY), **tokens.environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no PIN for token 'mill 7': set KEYSTEAD_PIN, or add pin-source" in done.stderr


def test_an_empty_pin_is_told(tokens, monkeypatch):
    monkeypatch.setenv("KEYSTEAD_PIN", "\n")
    assert refusal(tokens.uri(KEY)) == "KEYSTEAD_PIN is empty"


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("token=mill%209;object=dps-group", "no such token in"),
        ("token=mill%209;object=dps-group", "there are: 'mill 7', 'mill 8'"),
        ("token=mill%207;serial=0;object=dps-group", "no such token in"),
        ("token=mill%207;object=other", "token 'mill 7' has no secret key 'other'"),
        ("token=mill%207;object=dps-group;id=%00", "has no secret key 'dps-group'"),
        ("token=mill%208;object=dps-group", "token 'mill 8' has no secret key 'dps-group'"),
        ("token=mill%207;object=two", "has 2 keys 'two': add id= to the URI"),
        ("token=mill%207;object=unsigning", "can not sign with CKM_SHA256_HMAC"),
        ("token=mill%207;object=aes", "can not sign with CKM_SHA256_HMAC"),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_told(tokens, path, fault):
    assert fault in refusal(tokens.uri(path))


@pytest.mark.parametrize("name", ["open", "unwrapped", "wrapped"])
def test_a_key_that_can_be_read_out_is_warned_of(tokens, capsys, name):
    open_source(tokens.uri(f"token=mill%207;object={name}")).close()
    told = capsys.readouterr().err
    assert f"warning: the key '{name}' in token 'mill 7' can be read out" in told


def test_a_key_that_can_not_be_read_out_is_not_warned_of(tokens, capsys):
    open_source(tokens.uri("token=mill%207;id=%00%FF")).close()
    assert capsys.readouterr().err == ""


def test_a_module_that_is_none_is_told(tokens, tmp_path):
    (tmp_path / "none.so").write_text("not a library")
    uri = f"pkcs11:object=a?module-path={tmp_path}"
    assert f"there is no PKCS#11 module {tmp_path}/none" in refusal(f"{uri}/none")
    assert "does not start: " in refusal(f"{uri}/none.so")


def test_a_module_that_has_no_configuration_is_told(tokens):
    words = ("derive-key", NAME, "--key-source", tokens.uri(KEY))
    done = keystead(*words, SOFTHSM2_CONF="/none")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "does not start: " in done.stderr


def test_the_module_may_be_named_in_the_environment(tokens, monkeypatch):
    assert token_module.find_modules(TokenUri(), {"PKCS11_MODULE_PATH": str(tokens.module)}) == [
        str(tokens.module)
    ]
    monkeypatch.setenv("PKCS11_MODULE_PATH", str(tokens.module))
    with open_source(f"pkcs11:{KEY}") as source:
        assert base64.b64encode(source.derive(NAME)).decode() == DEVICE_KEY


def test_a_module_that_is_not_installed_is_told():
    with pytest.raises(CommandError, match="no PKCS#11 module 'acme' in the usual places"):
        token_module.find_modules(TokenUri(module_name="acme"), {})
    with pytest.raises(CommandError, match="a path goes to module-path"):
        token_module.find_modules(TokenUri(module_name="/lib/acme.so"), {})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("PinLocked", "it is locked after too many wrong PINs"),
        ("PinExpired", "its PIN has expired"),
        ("UserPinNotInitialized", "it has no PIN yet"),
        ("DeviceRemoved", "it is gone: plug the token in"),
        ("MechanismInvalid", "it can not sign with CKM_SHA256_HMAC"),
        ("DeviceMemory", "the token says DeviceMemory"),
    ],
)
def test_what_a_token_in_software_can_not_show_is_told_as_well(error, words):
    with (
        pytest.raises(CommandError, match="token 'mill'") as found,
        token_errors.told("token 'mill'"),
    ):
        raise getattr(pkcs11.exceptions, error)
    assert str(found.value).startswith(f"token 'mill': {words}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("token=a;object=b?pin-value=1234", "have this PIN changed"),
        ("token=a", "it names no key"),
        ("object=a;object=b", "object is given twice"),
        ("object=a;colour=red", "'colour' is not known"),
        ("object=a;type=private", "type must be secret-key"),
        ("object=a;slot-id=x", "slot-id is a number"),
        ("object=%", "must be written as %XX"),
        ("object=%ff", "is not UTF-8"),
        ("object=a b", "must be written as %XX"),
    ],
)
def test_an_uri_that_can_not_be_right_is_told(text, fault):
    with pytest.raises(CommandError) as error:
        parse_uri(text)
    assert fault in str(error.value)
    assert "1234" not in str(error.value)


def test_an_uri_is_read_as_rfc_7512_has_it():
    text = "token=The%20Software%20PKCS%2311%20Softtoken;object=k;id=%69%95%3E?module-name=acme"
    assert parse_uri(text) == TokenUri(
        token="The Software PKCS#11 Softtoken", object="k", id=b"\x69\x95\x3e", module_name="acme"
    )


@given(st.text(max_size=60))
def test_no_text_is_more_than_an_uri_or_a_refusal(text):
    try:
        assert parse_uri(text).key
    except CommandError as error:
        assert "\n" not in str(error) or "\n" in text


DEBIAN = Host("Linux", "debian", "12", "bookworm", "amd64")


def test_the_set_up_goes_on_where_softhsm_can_not_be_fetched(tmp_path):
    nowhere = Source("http://127.0.0.1:1/debian", ("bookworm",), ("main",))
    step = softhsm.SoftHsm(tmp_path, DEBIAN, nowhere, retries=0)
    assert step.missing()
    note = step.make(Log(tmp_path / "log"))
    assert note.startswith("The tests of PKCS#11 will be skipped: ")
    assert step.missing()
    assert not step.folder.exists()
    with pytest.raises(CommandError, match="SoftHSM2 is not set up here"):
        softhsm.found(tmp_path)


def test_elsewhere_than_on_debian_it_is_not_asked_for(tmp_path):
    assert not softhsm.SoftHsm(tmp_path, Host("Darwin", "", "", "", "")).missing()
