"""What holds for all pages and forms of the portal, without a browser; and the page on faults."""

import html
from html.parser import HTMLParser
from urllib.parse import parse_qsl, quote

import pytest

from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.portal.contents import PAGES
from host_tools.emulator.portal.guard import Session
from tests.unit.portal_bench import GROUP, HUB, NOW, OF, POLICY, SECRETS, registered

ADDRESSES = {
    "/devices": f"?hub={HUB}",
    "/devices/new": f"?hub={HUB}",
    "/group": f"?name={GROUP}",
    "/individual": "?id=bench-1",
    **{page.path: OF for page in PAGES if page.path.startswith("/device/")},
    "/device": OF,
}
ACTIONS = [
    f"{page.path.rstrip('/')}/{name}{ADDRESSES.get(page.path, '')}"
    for page in PAGES
    for name in (*page.actions, *page.reveals)
]


def test_every_page_is_whole_and_holds_no_key(visitor):
    for page in PAGES:
        text = visitor.read(page.path + ADDRESSES.get(page.path, ""))
        assert text.startswith("<!doctype html>")
        assert text.rstrip().endswith("</html>")
        for secret in SECRETS:
            assert secret not in html.unescape(text), page.path


def test_every_page_is_well_formed(visitor):
    registered(visitor)
    visitor.cloud.faults.add(Rule.from_json("every board gets 429, twice"), NOW)
    for page in PAGES:
        checker = Marks(visitor.read(page.path + ADDRESSES.get(page.path, "")))
        assert checker.wrong() == [], page.path
    wrong = visitor.refused("/group/new/create", 422, name="", **POLICY)
    assert Marks(wrong).wrong() == []


class Marks(HTMLParser):
    """What a page's marks refer to, and whether they are closed in their order."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self._ids: list[str] = []
        self._meant: set[str] = set()
        self._wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name == "id":
                self._ids.append(value)
            if name in ("for", "aria-describedby", "aria-labelledby"):
                self._meant |= set(value.split())

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self._wrong.append(f"</{tag}> at {self.getpos()}")

    def wrong(self) -> list[str]:
        twice = {name for name in self._ids if self._ids.count(name) > 1}
        return [*self._wrong, *self._open, *twice, *(self._meant - set(self._ids))]


def test_every_live_part_is_on_its_page_as_it_will_be_sent(visitor):
    for page in PAGES:
        address = ADDRESSES.get(page.path, "")
        text = visitor.read(page.path + address)
        facts = visitor.portal._facts(
            page, dict(parse_qsl(address[1:])), Session("", visitor.token)
        )
        for name, part in visitor.portal._render.parts(page.template, facts):
            assert f'id="{name}"' in text, page.path
            assert part in text, name


def test_no_form_is_taken_without_its_own_token(visitor):
    visitor.read("/group/new")
    visitor.token = "0" * 64
    assert {action: visitor.form(action).status_code for action in ACTIONS} == dict.fromkeys(
        ACTIONS, 403
    )


def test_nothing_is_done_by_a_link(visitor):
    for action in ACTIONS:
        assert visitor.ask("GET", action).status_code == 405, action


@pytest.mark.parametrize("path", ["/nowhere", "/static/../app.py", "/static/none.css", "/devicee"])
def test_there_is_no_other_page(path, visitor):
    assert visitor.ask("GET", path).status_code == 404


def test_who_is_not_there_is_told_on_a_page(visitor):
    for path in (f"/device?hub={HUB}&id=nobody", "/device", "/devices?hub=x", "/group?name=none"):
        text = visitor.read(path, 404)
        assert "That did not work" in text
    assert "<script>x" not in visitor.read("/group?name=%3Cscript%3Ex", 404)


def test_a_page_takes_any_query(visitor):
    visitor.read(f"/devices?hub={HUB}&page=99999&q=%00%ff&path=x&anchor=y&self=z&page=-1")
    visitor.read(f"/devices?hub={HUB}&page=\u0665")


def test_only_forms_are_taken(visitor):
    visitor.read("/group/new")
    headers = {"Origin": "http://localhost:8443", "Content-Type": "application/json"}
    answer = visitor.ask("POST", "/faults/clear", content=b"{}", headers=headers)
    assert answer.status_code == 415
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    answer = visitor.ask("POST", "/faults/clear", content=b"a" * 1_100_000, headers=headers)
    assert answer.status_code == 413


def test_what_was_done_is_said_once(visitor):
    text = visitor.done(f"/group/enable?name={GROUP}", enabled="no")
    assert "Disabled: its devices are refused" in text
    assert "Disabled: its devices" not in visitor.read(f"/group?name={GROUP}")


def test_the_root_leads_to_the_portal(visitor):
    answer = visitor.ask("GET", "")
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal/")


def test_a_full_disk_is_told_and_no_page_is_lost(visitor, tmp_path):
    visitor.read("/group/new")
    visitor.cloud.close()
    answer = visitor.form(f"/group/enable?name={GROUP}", enabled="no")
    assert answer.status_code == 500
    assert "500001" in answer.text


def test_a_stream_is_for_a_page_there_is(visitor):
    visitor.read("/")
    for view in ("", "/portal/none", "/portal", "//evil.example/portal/", "//[", "/portal/events"):
        assert visitor.ask("GET", f"/events?view={quote(view)}").status_code == 404


def test_the_ca_can_be_downloaded(visitor):
    answer = visitor.ask("GET", "/ca.pem")
    assert answer.content == visitor.cloud.ca_pem
    assert "attachment" in answer.headers["content-disposition"]


def test_a_fault_is_added_by_a_sentence_and_cleared(visitor):
    visitor.refused("/faults/add", 422, sentence="whatever")
    visitor.done("/faults/add", sentence="every board gets 429, twice")
    said = visitor.done("/faults/add", sentence="the 3rd board, when it registers, gets 429")
    assert "the 3rd board" in said
    assert "the 3rd board" in visitor.done("/faults/clear", rule="1")
    assert "All is well" in visitor.done("/faults/clear")
    assert not visitor.cloud.faults.active
