"""Harness: SAS tokens, as a device's MQTT password or a service's header."""

from host_tools.emulator.access import AccessDenied, Resource, Token, check, check_key, undecoded
from keystead.sas import sas_token
from tests.fuzz.bench import BEGIN
from tests.fuzz.chance import Chance

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
TOKENS = [b"SharedAccessSignature ", b"sr=", b"&sig=", b"&se=1700003600", b"&skn=", b"%2F", b"%3D"]
_PLACE = Resource({"hub"}, ("devices", "d"))


def run(data: bytes) -> None:
    """Take a token apart and believe nothing of it."""
    chance = Chance(data)
    if chance.below(2):
        _forge(chance)
        return
    password = chance.piece() + chance.piece()
    try:
        token = Token.parse(password)
    except AccessDenied as denied:
        assert len(password) < 20 or repr(password)[2:-1] not in repr(denied), "a password"
        return
    assert isinstance(token.uri, str)
    assert isinstance(token.policy, str)
    assert 0 <= token.expiry < 10**19
    assert not token.is_signed_with([KEY, *undecoded([KEY])]), "nobody has signed this"
    for step in (lambda: check(token, _PLACE, BEGIN), lambda: check_key(token, [KEY])):
        try:
            step()
        except AccessDenied:
            continue
        assert step is not None


# a token of ours is good, and no byte of it can be changed to make it good for something else
def _forge(chance: Chance) -> None:
    policy = "".join(c for c in chance.text() if c.isalnum())
    made = sas_token("hub/devices/d", KEY, int(BEGIN) + 60, policy).encode()
    token = Token.parse(made)
    assert token.is_signed_with([KEY])
    at, byte = int.from_bytes(chance.piece()[:2], "big") % len(made), chance.byte()
    changed = made[:at] + bytes((byte,)) + made[at + 1 :]
    try:
        forged = Token.parse(changed)
    except AccessDenied:
        return
    same = (forged.uri, forged.expiry) == (token.uri, token.expiry)
    assert same or not forged.is_signed_with([KEY]), "what is signed was changed"


SEEDS = [
    b"\x00\xff" + sas_token("hub/devices/d", OTHER_KEY, int(BEGIN)).encode(),
    b"\x00\xff" + sas_token("hub/devices/d", OTHER_KEY, int(BEGIN), "device").encode(),
    b"\x01\x06device\x02\x00\x30\x41",
]
