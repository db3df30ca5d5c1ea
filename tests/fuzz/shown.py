"""Harness: foreign text as the trace shows it, with a secret hidden in it."""

import base64
import json

from host_tools.emulator.trace.mask import LONGEST, body, shown
from tests.fuzz.chance import Chance, said

SECRET = "GEHEIM-7d1f"
KEY = base64.b64encode(bytes(range(100, 164))).decode()
NAMES = ("key", "apiKey", "wifi password", "SharedAccessKey", "token", "my-sig", "client_secret")
TOKENS = [
    b'{"',
    b'":"',
    b'"}',
    b"\\",
    b"\\u006b",
    b"[[",
    b"}}",
    b"=",
    b"&",
    b"Bearer ",
    b"<",
    b">",
]


def run(data: bytes) -> None:
    """Show anything; what is named a secret and what looks like a key never shows."""
    chance = Chance(data)
    name = NAMES[chance.below(len(NAMES))]
    before, after, cut = chance.text(), chance.text(), chance.byte()
    document = json.dumps({f"a{before}": after, name: SECRET, "z": [before, KEY]}).encode()
    document = document[: len(document) - cut] if cut else document
    _check(body(document, cut > 0))
    _check(shown(f"HostName={before.replace(KEY, '')};{name.replace(' ', '')}={SECRET};{after}"))
    rest = chance.piece()
    for seen in (body(rest), body(rest, True), shown(rest.decode("latin-1"))):
        assert seen.isprintable()
        assert len(seen) <= LONGEST


def _check(seen: str) -> None:
    assert seen.isprintable(), seen
    assert len(seen) <= LONGEST
    assert SECRET not in seen, seen
    assert not any(KEY[at : at + 16] in seen for at in range(len(KEY) - 16)), seen


SEEDS = [
    said(0, b"x", b"y", 5, b'{"a":1}'),
    said(2, b'{"', b'"}', 0, b"\x00\xff"),
    said(3, b"Bearer ", b"a=b&c", 40, b"key=1"),
]
