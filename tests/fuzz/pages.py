"""Harness: the portal's pages and forms, as a visitor's browser sends them, or something else.

The oracle: an answer, always, and never our fault; no key on a page that was not asked for one; a
fuzzer's text never becomes markup.
"""

import re
from html import unescape
from urllib.parse import urlencode

from host_tools.emulator.portal.contents import PAGES
from host_tools.emulator.portal.guard import ROOT
from host_tools.keys import derive_device_key, encode_key
from tests.fuzz.bench import HUB, KEYS, NAME, OTHER
from tests.fuzz.chance import Chance, said
from tests.fuzz.web import Web, disturbs, renewed

HOST = "localhost:8443"
MARK = "<fuzz onload=x>"  # of which no page may ever make a tag
ADDRESSES = [
    f"{page.path.rstrip('/') if name else page.path}{'/' + name if name else ''}"
    for page in PAGES
    for name in ("", *page.actions, *page.reveals)
]
REVEALS = {f"{page.path.rstrip('/')}/{name}" for page in PAGES for name in page.reveals}
VALUES = (
    NAME,
    HUB,
    "mylegacydevices",
    "bench-1",
    "yes",
    "on",
    "static",
    "enabled",
    '{"a":1}',
    "429",
    f"{NAME} gets 429, twice",
    MARK,
)
TOKENS = [*(value.encode() for value in VALUES), b"hub=", b"id=", b"name=", b"[]", b"1e999"]
_KEYS = [
    encode_key(key)
    for key in (*KEYS, *(derive_device_key(KEYS.primary, name) for name in (NAME, OTHER)))
]

_web: list[Web] = []
_visits: dict[int, tuple[str, str, list[str]]] = {}  # cookie, form token and fields by cloud


def run(data: bytes) -> None:
    """Look at pages, send forms."""
    web, chance = renewed(_web, 1500), Chance(data)
    cookie, token, fields = _visit(web)
    for _ in range(6):
        if not chance.more():
            break
        _go(web, chance, cookie, token, fields)
    web.mend()


def _visit(web: Web) -> tuple[str, str, list[str]]:
    if id(web) not in _visits:
        _visits.clear()
        first = web.ask("GET", f"{ROOT}/", host=HOST)
        cookie, fields, token = first.headers["set-cookie"].partition(";")[0], {"x"}, ""
        for address in ADDRESSES:
            page = web.ask("GET", _target(address, {}), host=HOST, cookie=cookie).body.decode()
            fields.update(re.findall(r'<(?:input|select|textarea)[^>]* name="(\w+)"', page))
            token = token or "".join(re.findall(r'name="form_token" value="(\w+)"', page)[:1])
        assert token, "no page has a form"
        _visits[id(web)] = cookie, token, sorted(fields - {"form_token"})
    return _visits[id(web)]


def _target(address: str, query: dict[str, str]) -> str:
    known = {"hub": HUB, "id": NAME, "name": "mylegacydevices", **query}
    return f"{ROOT}{address}?{urlencode(known)}"


def _go(web: Web, chance: Chance, cookie: str, token: str, fields: list[str]) -> None:
    address = ADDRESSES[chance.below(len(ADDRESSES))]
    query = {_name(chance, fields): _value(chance) for _ in range(chance.below(3))}
    form = {_name(chance, fields): _value(chance) for _ in range(chance.below(8))}
    target, raw = _target(address, query), chance.piece()
    body = (urlencode({**form, "form_token": token}).encode(), raw)[chance.below(8) == 7]
    if disturbs(OTHER, target, body.decode("latin-1")):
        return
    reply = web.ask(
        ("POST", "GET")[chance.below(2)],
        target,
        body,
        host=HOST,
        cookie=cookie,
        origin=f"https://{HOST}",
        content_type="application/x-www-form-urlencoded",
    )
    assert 200 <= reply.status < 500, reply
    text = reply.body.decode()
    assert MARK not in text, text
    if address not in REVEALS:
        assert not any(key in unescape(text) for key in _KEYS), "a key"


def _name(chance: Chance, fields: list[str]) -> str:
    choice = chance.byte()
    return fields[choice % len(fields)] if choice < 250 else chance.text()


def _value(chance: Chance) -> str:
    choice = chance.below(len(VALUES) + 4)
    return VALUES[choice] if choice < len(VALUES) else chance.text()


SEEDS = [
    *(said(at, 0, 0, b"", 0, 1) + said(at, 0, 2, 3, 2, 4, 5, b"", 0, 0) for at in range(40)),
    said(5, 1, 2, 11, 0, b"", 0, 1),
]
