"""Who is let in to the portal, and who is turned away with which words."""

import asyncio
import re

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from host_tools.emulator.portal.guard import (
    Guard,
    Turned,
    address,
    is_loopback,
    session_of,
    token_for,
)
from host_tools.errors import CommandError

LOCAL = "http://localhost:8443"
OURS = {"Origin": LOCAL, "Sec-Fetch-Site": "same-origin"}


async def page(scope, receive, send):
    request = Request(scope)
    named = "" if "/static/" in scope["path"] else session_of(request).name
    await PlainTextResponse(f"page of {named}")(scope, receive, send)


def refuse(turned: Turned) -> PlainTextResponse:
    return PlainTextResponse(str(turned), turned.status)


def guard(host: str = "127.0.0.1", token: str = "", names=()) -> Guard:
    return Guard(page, refuse, host, token, names)


async def _ask(guarded, requests, base):
    transport = httpx.ASGITransport(guarded)
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        return [await client.request(method, path, headers=h) for method, path, h in requests]


def ask(guarded, *requests, base=LOCAL):
    """Send (method, path, headers) one after the other, as one browser; return the answers."""
    return asyncio.run(_ask(guarded, requests, base))


def get(guarded, path="/portal/", base=LOCAL, **headers):
    (answer,) = ask(guarded, ("GET", path, headers), base=base)
    return answer


def test_on_loopback_whoever_reaches_the_port_is_let_in():
    answer = get(guard())
    assert answer.status_code == 200
    assert re.fullmatch("page of [0-9a-f]{32}", answer.text)


def test_a_visitor_stays_the_same_by_its_cookie():
    first, second = ask(guard(), ("GET", "/portal/", {}), ("GET", "/portal/devices", {}))
    assert first.text == second.text
    assert "set-cookie" not in second.headers
    cookie = first.headers["set-cookie"]
    assert cookie.startswith("keystead-portal-8443=")
    assert cookie.endswith("; Path=/portal; HttpOnly; SameSite=Strict")


def test_over_tls_the_cookie_is_for_tls_only():
    answer = get(guard(), base="https://localhost:8443")
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_every_answer_forbids_what_a_browser_may_not_do():
    for answer in (get(guard()), get(guard(), base="http://evil.example")):
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"


def test_static_files_may_be_kept_and_need_no_session():
    answer = get(guard("0.0.0.0", "secret"), "/portal/static/portal.css")
    assert answer.text == "page of "
    assert answer.headers["cache-control"] == "no-cache"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "bench"])
def test_a_name_of_this_machine_is_answered(name):
    assert get(guard(names=["bench"]), base=f"http://{name}:8443").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example:8443", 421),
        ("localhost.evil.example", 421),
        ("localhost:8443@evil.example", 400),
        ("", 400),
        ("[", 400),
        ("localhost:999999", 400),
    ],
)
def test_another_name_is_turned_away_as_it_may_be_rebound(host, status):
    answer = get(guard(), host=host)
    assert answer.status_code == status
    assert "set-cookie" not in answer.headers


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
@example("[::1]:8443")
@example("localhost:0")
def test_whatever_the_host_header_says_there_is_an_answer(host):
    assert get(guard(), host=host).status_code in (200, 400, 421)


def post(headers, guarded=None, base=LOCAL):
    guarded = guarded or guard()
    _, answer = ask(guarded, ("GET", "/portal/", {}), ("POST", "/portal/x", headers), base=base)
    return answer.status_code


@pytest.mark.parametrize(
    "headers",
    [OURS, {"Origin": LOCAL}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": LOCAL.upper()}],
)
def test_a_form_of_our_own_page_is_taken(headers):
    assert post(headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://localhost:8443"},
        {"Origin": "http://localhost:9000"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": LOCAL, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_form_of_another_page_is_turned_away(headers):
    assert post(headers) == 403


def test_a_form_without_a_session_is_from_an_earlier_run():
    (answer,) = ask(guard(), ("POST", "/portal/x", OURS))
    assert answer.status_code == 403
    assert "reload" in answer.text


def test_a_session_of_another_run_is_none_of_ours():
    one, other = guard(), guard()
    cookie = get(one).headers["set-cookie"].partition(";")[0]
    answer = get(other, cookie=cookie)
    assert answer.text != get(one, cookie=cookie).text
    assert "set-cookie" in answer.headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_get_and_post_are_known(method):
    (answer,) = ask(guard(), (method, "/portal/", OURS))
    assert answer.status_code == 405


def test_off_loopback_there_must_be_a_token():
    with pytest.raises(CommandError, match=r"0\.0\.0\.0 needs a token"):
        guard("0.0.0.0")


TOKEN = "a-token-that-nobody-guesses"


@pytest.mark.parametrize("path", ["/portal/", "/portal/?token=", f"/portal/?token={TOKEN[:-1]}"])
def test_without_the_token_nobody_is_let_in(path):
    answer = get(guard("0.0.0.0", TOKEN), path, base="http://10.0.0.5:8443")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_the_token_is_given_once_and_then_a_cookie_counts():
    link = f"/portal/?token={TOKEN}"
    first, second = ask(guard("0.0.0.0", TOKEN), ("GET", link, {}), ("GET", "/portal/devices", {}))
    assert first.status_code == 200
    assert first.headers["refresh"] == "0; url=/portal/"
    assert TOKEN not in str(first.headers) + first.text
    assert second.status_code == 200
    assert second.text.startswith("page of ")


def test_a_token_does_not_come_with_a_form():
    (answer,) = ask(guard("0.0.0.0", TOKEN), ("POST", f"/portal/?token={TOKEN}", OURS))
    assert answer.status_code == 401


def test_no_token_is_in_a_session_s_repr():
    seen = []

    async def look(scope, receive, send):
        seen.append(session_of(Request(scope)))
        await PlainTextResponse("")(scope, receive, send)

    get(Guard(look, refuse, "localhost"))
    (session,) = seen
    assert session.form_token not in repr(session)
    assert session.owns(session.form_token)
    assert not session.owns("")
    assert not session.owns("\ud800")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_token(host):
    assert is_loopback(host)
    assert token_for(host) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "bench", "localhost.evil.example"])
def test_what_others_reach_gets_a_token_each_time_another(host):
    assert not is_loopback(host)
    assert len({token_for(host) for _ in range(3)}) == 3


def test_the_address_is_what_a_browser_takes():
    assert address("localhost", 8443) == "https://localhost:8443/portal/"
    assert address("::1", 80, "t", "http") == "http://[::1]:80/portal/?token=t"


def test_a_web_socket_leads_nowhere():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(guard()({"type": "websocket"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
