"""The portal's pages and forms, page by page, without a browser."""

import html
import json
from html.parser import HTMLParser
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Connected, Telemetry
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.hub.merge import merged
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.portal.contents import PAGES
from host_tools.emulator.portal.desk import Secret, count_of, part_of, url
from host_tools.emulator.portal.forms import FormError
from host_tools.emulator.portal.guard import Session
from host_tools.emulator.portal.pages.messages import properties
from host_tools.emulator.portal.pages.twin import difference
from host_tools.emulator.portal.render import body_text, pretty, short_host, when, without
from host_tools.emulator.records import Registration
from host_tools.keys import encode_key
from tests.unit.portal_bench import (
    GROUP,
    HUB,
    KEYS,
    NOW,
    OTHER_HUB,
    SECRETS,
    text_of,
    visiting,
)

OF = f"?hub={HUB}&id=sn-1"
POLICY = {"allocation": "hashed", "hubs": HUB, "reprovisioning": "migrate"}
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


@pytest.fixture
def visitor(tmp_path):
    with visiting(tmp_path) as visitor:
        visitor.hub.create("sn-1", NOW, KEYS.derived_for("sn-1"))
        yield visitor


def registered(visitor, name: str = "sn-1") -> None:
    """Have DPS know a device as a member of the group."""
    visitor.cloud.dps._records.put(
        Registration(name, name, HUB, GROUP, "initialAssignment", "e", NOW, NOW)
    )


# --- all of them -----------------------------------------------------------------------------


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


# --- enrollments -----------------------------------------------------------------------------


def test_a_group_gets_keys_of_its_own_making(visitor):
    text = visitor.done("/group/new/create", name="press-line", **POLICY)
    assert "The enrollment group press-line is made." in text
    group = visitor.cloud.dps.group("press-line")
    assert [len(key) for key in group.keys] == [64, 64]
    assert (group.allocation, group.hubs) == ("hashed", (HUB,))


def test_a_group_may_bring_its_keys(visitor):
    keys = {"primary_key": encode_key(b"k" * 32), "secondary_key": encode_key(b"l" * 16)}
    visitor.done("/group/new/create", name="press-line", **keys, **POLICY)
    assert visitor.cloud.dps.group("press-line").keys == KeyPair(b"k" * 32, b"l" * 16)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "The group's name is missing."),
        ({"name": "a b"}, "The group's name"),
        ({"name": GROUP.upper()}, "There is a group of this name."),
        ({"primary_key": "c2hvcnQ="}, "The key has 5 bytes"),
        ({"primary_key": "not base64"}, "is not Base64"),
        ({"allocation": "static", "hubs": [HUB, OTHER_HUB]}, "takes exactly one hub"),
        ({"allocation": "static", "hubs": []}, "takes exactly one hub"),
        ({"allocation": "custom", "webhook": ""}, "Give an address"),
        ({"allocation": "custom", "webhook": "http://"}, "webhookUrl can not be one"),
        ({"allocation": "dice"}, "Choose one of those"),
        ({"initial_twin": "[1]"}, "must be a JSON object"),
    ],
)
def test_a_group_that_can_not_be_is_told_why(fields, said, visitor):
    fields = {"name": "press-line", **POLICY, **fields}
    answer = visitor.form("/group/new/create", **fields)
    assert answer.status_code in (400, 409, 422)
    assert said in html.unescape(answer.text)
    for name in ("primary_key", "webhook"):
        assert not fields.get(name) or fields[name] not in answer.text or name == "webhook"


def test_a_key_that_was_typed_is_not_shown_again(visitor):
    key = encode_key(b"k" * 32)
    text = visitor.refused("/group/new/create", 422, name="", primary_key=key, **POLICY)
    assert key not in html.unescape(text)


def test_a_web_hook_s_own_key_is_not_shown(visitor):
    custom = {**POLICY, "allocation": "custom", "webhook": "https://f.example/api?code=s3cret"}
    text = visitor.done("/group/new/create", name="press-line", **custom)
    assert "https://f.example/api?" in text
    assert "s3cret" not in text
    group = visitor.cloud.dps.group("press-line")
    custom.update(webhook="", etag=group.etag)
    assert "s3cret" not in visitor.done("/group/save?name=press-line", **custom)
    assert visitor.cloud.dps.group("press-line").webhook == group.webhook


def test_a_group_s_terms_are_changed(visitor):
    visitor.done(
        f"/group/save?name={GROUP}",
        allocation="static",
        hubs=OTHER_HUB,
        reprovisioning="never",
        initial_twin='{"tags": {"site": "Ulm"}}',
        edge="yes",
        etag=visitor.cloud.dps.group(GROUP).etag,
    )
    group = visitor.cloud.dps.group(GROUP)
    assert (group.allocation, group.hubs, group.edge) == ("static", (OTHER_HUB,), True)
    assert (group.update_hub, group.migrate_data) == (False, False)
    assert group.initial_twin == {"tags": {"site": "Ulm"}}
    assert group.keys == KEYS


def test_who_changes_what_another_changed_is_told(visitor):
    etag = visitor.cloud.dps.group(GROUP).etag
    visitor.done(f"/group/enable?name={GROUP}", enabled="no")
    text = visitor.refused(f"/group/save?name={GROUP}", 412, etag=etag, **POLICY)
    assert 'role="alert"' in text


def test_keys_are_the_answer_to_one_form_only(visitor):
    answer = visitor.form(f"/group/keys?name={GROUP}")
    assert encode_key(KEYS.primary) in html.unescape(answer.text)
    assert answer.headers["refresh"] == f"30; url=/portal/group?name={GROUP}"
    assert answer.headers["cache-control"] == "no-store"
    part = visitor.form(f"/group/keys?name={GROUP}", headers={"X-Keystead-Part": "yes"})
    assert encode_key(KEYS.secondary) in html.unescape(part.text)
    assert "<html" not in part.text


@pytest.mark.parametrize("which", ["primary", "secondary"])
def test_one_key_is_made_anew_and_the_other_stays(which, visitor):
    visitor.done(f"/group/new-key?name={GROUP}", which=which)
    keys = visitor.cloud.dps.group(GROUP).keys
    assert (keys.primary == KEYS.primary) == (which == "secondary")
    assert (keys.secondary == KEYS.secondary) == (which == "primary")


def test_a_secret_is_in_no_repr():
    assert "s3cret" not in repr(Secret("Primary key", "s3cret"))


def test_a_group_is_deleted(visitor):
    assert f"{GROUP} is deleted" in visitor.done(f"/group/delete?name={GROUP}")
    with pytest.raises(ServiceError):
        visitor.cloud.dps.group(GROUP)


def test_an_individual_enrollment_is_made_changed_and_deleted(visitor):
    visitor.done("/individual/new/create", registration_id="sn-9", device_id="nine", **POLICY)
    assert visitor.cloud.dps.individual("SN-9").device_id == "nine"
    visitor.refused("/individual/new/create", 409, registration_id="sn-9", **POLICY)
    visitor.done("/individual/save?id=sn-9", device_id="", **POLICY)
    assert visitor.cloud.dps.individual("sn-9").device_id == ""
    visitor.done("/individual/enable?id=sn-9", enabled="no")
    assert not visitor.cloud.dps.individual("sn-9").enabled
    visitor.done("/individual/new-key?id=sn-9", which="primary")
    visitor.done("/individual/delete?id=sn-9")
    assert [one.name for one in visitor.cloud.dps.individuals()] == ["bench-1"]


def test_individual_enrollments_are_found_by_a_part_of_their_name(visitor):
    assert "bench-1" in visitor.read("/enrollments?q=ENCH")
    assert "None whose registration ID contains" in visitor.read("/enrollments?q=x")


def test_a_record_is_shown_and_deleted_where_it_is_shown(visitor):
    for path, back in (
        ("/registrations/delete", "/registrations"),
        (f"/group/delete-record?name={GROUP}", f"/group?name={GROUP}"),
    ):
        registered(visitor)
        assert "initialAssignment" in visitor.read(back)
        assert "The record of sn-1 is deleted" in visitor.done(path, record="sn-1")
        assert visitor.cloud.dps.registrations() == []


def test_a_failed_registration_is_shown_as_one(visitor):
    failed = Registration(
        "sn-2", "", "", GROUP, "", "e", NOW, NOW, "failed", 400207, "No web-hook"
    )
    visitor.cloud.dps._records.put(failed)
    said = text_of(visitor.read("/registrations"))
    assert "failed No web-hook (400207)" in said
    assert "none yet" in said


# --- devices ---------------------------------------------------------------------------------


def test_devices_are_listed_fifty_a_page(visitor):
    for number in range(120):
        visitor.hub.create(f"dev-{number:04}", NOW, KEYS)
    first = visitor.read(f"/devices?hub={HUB}&q=dev")
    assert first.count('<th scope="row">') == 50
    assert "1\u201350 of 120" in html.unescape(first)
    last = visitor.read(f"/devices?hub={HUB}&q=dev&page=3")
    assert last.count('<th scope="row">') == 20
    assert "dev-0119" in last
    assert 'rel="next"' not in last


def test_devices_are_filtered(visitor):
    visitor.hub.create("sn-2", NOW, KEYS, enabled=False)
    assert "sn-1" not in visitor.read(f"/devices?hub={HUB}&status=disabled")
    assert "sn-2" not in visitor.read(f"/devices?hub={HUB}&status=enabled")
    assert "No device is like that" in visitor.read(f"/devices?hub={HUB}&connection=connected")
    assert "sn-2" in visitor.read(f"/devices?hub={HUB}&q=N-2")


def test_an_empty_hub_tells_the_next_command(visitor):
    text = text_of(visitor.read(f"/devices?hub={OTHER_HUB}"))
    assert "keystead boot --id-scope 0ne00002193" in text
    assert "--cloud localhost:8883" in text


@pytest.mark.parametrize("name", ["..", ".", "a%2f?b=c", "a'b\"".replace('"', ""), "50%", "=;$@!"])
def test_a_device_with_an_odd_name_has_its_pages(name, visitor):
    visitor.done(f"/devices/new/create?hub={HUB}", device_id=name)
    link = url("/device", hub=HUB, id=name)
    assert html.escape(link, quote=False) in visitor.read(f"/devices?hub={HUB}")
    assert html.escape(name, quote=False).replace("'", "&#39;") in visitor.read(
        link.removeprefix("/portal")
    )


def test_a_device_made_by_hand_must_be_new_and_well_named(visitor):
    visitor.refused(f"/devices/new/create?hub={HUB}", 409, device_id="sn-1")
    visitor.refused(f"/devices/new/create?hub={HUB}", 400, device_id="a b")


def test_telemetry_and_what_happened_are_remembered_from_the_start(visitor):
    body = json.dumps({"t": 21.5}).encode()
    visitor.cloud.tell(Telemetry(NOW, HUB, "sn-1", body, "alarm=low&bare"))
    visitor.cloud.tell(Connected(NOW, HUB, "sn-1", "2021-04-12"))
    said = text_of(visitor.read(f"/device{OF}"))
    assert "{&#34;t&#34;: 21.5} alarm=low bare" in said
    assert f"connected to {HUB}" in said
    assert f"sn-1 connected to {HUB}" in text_of(visitor.read("/"))


def test_the_twin_is_edited_by_differences(visitor):
    visitor.hub.patch_twin("sn-1", {"properties": {"desired": {"a": 1, "b": {"c": 2}}}}, NOW)
    etag = visitor.hub.twin("sn-1").etag
    desired = '{"b": {"c": 2, "d": 3}}'
    said = visitor.done(f"/device/twin/save{OF}", desired=desired, tags="{}", etag=etag)
    assert "The device reads it when it is back" in said
    twin = visitor.hub.twin("sn-1")
    assert twin.desired == {"b": {"c": 2, "d": 3}}
    assert (twin.desired_section.version, twin.tags) == (3, {})
    said = visitor.done(f"/device/twin/save{OF}", desired=desired, tags="", etag=twin.etag)
    assert "Nothing was changed" in said
    said = visitor.done(f"/device/twin/save{OF}", desired=desired, tags='{"x": 1}', etag=twin.etag)
    assert "the device hears nothing" in said


@pytest.mark.parametrize("text", ['{"a b": 1}', '{"$x": 1}', '{"a": "%s"}' % ("x" * 5000)])
def test_what_the_service_refuses_is_told_in_its_words(text, visitor):
    etag = visitor.hub.twin("sn-1").etag
    page = visitor.refused(f"/device/twin/save{OF}", 400, desired=text, tags="", etag=etag)
    assert 'role="alert"' in page


def test_an_edit_of_what_changed_meanwhile_is_told_and_kept(visitor):
    etag = visitor.hub.twin("sn-1").etag
    visitor.hub.patch_twin("sn-1", {"tags": {"site": "Ulm"}}, NOW)
    page = visitor.refused(
        f"/device/twin/save{OF}", 412, desired='{"mine": 1}', tags="", etag=etag
    )
    assert "Somebody changed the twin while you edited it" in page
    assert "{&#34;mine&#34;: 1}</textarea>" in page
    assert visitor.hub.twin("sn-1").etag in html.unescape(page)


JSON = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=2), JSON, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_difference_makes_the_new_of_the_old(old, new):
    assert merged(old, difference(old, new)) == new
    assert difference(new, new) == {}


def test_a_message_is_queued_and_purged(visitor):
    said = visitor.done(
        f"/device/messages/send{OF}", body="a\r\nb", ack="full", properties="x=1", expires="60"
    )
    assert "Kept until the device is back. 1 message" in said
    assert visitor.hub.pending("sn-1") == 1
    assert "1 message deleted" in visitor.done(f"/device/messages/purge{OF}")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"expires": "0"}, 422),
        ({"ack": "maybe"}, 422),
        ({"properties": "=x"}, 422),
        ({"properties": "a=1\na=2"}, 422),
        ({"body": "x" * 70_000}, 413),
    ],
)
def test_a_message_that_can_not_be_sent_is_told_why(fields, status, visitor):
    visitor.refused(f"/device/messages/send{OF}", status, **{"ack": "none", "body": "x", **fields})


def test_properties_are_typed_a_line_each():
    assert properties("a = 1\n\nb=\nc\nd==\n") == {"a": "1", "b": "", "c": None, "d": "="}
    for text in ("=1", "  =", "a\na=1"):
        with pytest.raises(FormError, match=r"Line \d"):
            properties(text)


def test_a_method_on_a_device_that_is_away_fails_with_its_code(visitor):
    said = text_of(visitor.done(f"/device/methods/invoke{OF}", method="reboot"))
    assert "reboot" in said
    assert "404103" in said
    for fields in ({"method": ""}, {"response_timeout": "4"}, {"payload": "{"}):
        visitor.refused(f"/device/methods/invoke{OF}", 422, **{"method": "reboot", **fields})


def test_an_identity_is_disabled_with_a_reason_and_enabled(visitor):
    said = visitor.done(f"/device/access/identity{OF}", enabled="no", reason="stolen")
    assert "stolen" in said
    device = visitor.hub.device("sn-1")
    assert (device.enabled, device.status_reason) == (False, "stolen")
    visitor.done(f"/device/access/identity{OF}", enabled="yes")
    device = visitor.hub.device("sn-1")
    assert (device.enabled, device.status_reason) == (True, "")


def test_a_member_is_blocked_by_an_enrollment_with_its_own_keys(visitor):
    registered(visitor)
    assert "under the group" in visitor.read(f"/device/access{OF}")
    assert "It is blocked by" in visitor.done(f"/device/access/block{OF}")
    made = visitor.cloud.dps.individual("sn-1")
    assert (made.enabled, made.keys) == (False, KEYS.derived_for("sn-1"))
    assert "under the group" in visitor.done(f"/device/access/unblock{OF}")
    with pytest.raises(ServiceError):
        visitor.cloud.dps.individual("sn-1")


def test_a_device_with_an_enrollment_of_its_own_is_blocked_by_it(visitor):
    visitor.hub.create("pump-7", NOW)
    visitor.cloud.dps._records.put(
        Registration("bench-1", "pump-7", HUB, "", "initialAssignment", "e", NOW, NOW)
    )
    of = f"?hub={HUB}&id=pump-7"
    visitor.done(f"/device/access/block{of}")
    assert not visitor.cloud.dps.individual("bench-1").enabled
    visitor.done(f"/device/access/unblock{of}")
    assert visitor.cloud.dps.individual("bench-1").enabled


def test_a_device_that_dps_does_not_know_is_not_blocked_there(visitor):
    visitor.hub.create("by-hand", NOW)
    of = f"?hub={HUB}&id=by-hand"
    assert "does not know this device" in visitor.read(f"/device/access{of}")
    visitor.refused(f"/device/access/block{of}", 422)
    visitor.refused(f"/device/access/unblock{of}", 422)


def test_one_member_moves_or_all_do(visitor):
    registered(visitor)
    visitor.done(f"/device/access/move{OF}", target=OTHER_HUB, way="device")
    made = visitor.cloud.dps.individual("sn-1")
    assert (made.allocation, made.hubs, made.enabled) == ("static", (OTHER_HUB,), True)
    assert made.keys == KEYS.derived_for("sn-1")
    assert visitor.cloud.dps.group(GROUP).hubs == (HUB,)
    visitor.cloud.dps.delete_individual("sn-1")
    said = visitor.done(f"/device/access/move{OF}", target=OTHER_HUB, way="group")
    assert f"its next registration leads to {OTHER_HUB}" in said
    assert visitor.cloud.dps.group(GROUP).hubs == (OTHER_HUB,)


def test_a_move_ends_that_a_device_never_moves(visitor):
    registered(visitor)
    never = {**POLICY, "reprovisioning": "never"}
    visitor.done(f"/group/save?name={GROUP}", **never)
    assert "never reprovisions" in visitor.read(f"/device/access{OF}")
    visitor.done(f"/device/access/move{OF}", target=OTHER_HUB, way="device")
    made = visitor.cloud.dps.individual("sn-1")
    assert (made.update_hub, made.migrate_data) == (True, True)


def test_a_device_s_keys_come_with_a_connection_string(visitor):
    answer = visitor.form(f"/device/access/keys{OF}")
    key = encode_key(KEYS.derived_for("sn-1").primary)
    expected = f"HostName={HUB};DeviceId=sn-1;SharedAccessKey={key}"
    assert expected in html.unescape(answer.text)


def test_an_identity_is_deleted(visitor):
    assert "sn-1 is deleted" in visitor.done(f"/device/access/delete{OF}")
    visitor.read(f"/device{OF}", 404)


def test_a_device_that_moved_says_where_to(visitor):
    registered(visitor)
    there = Registration("sn-1", "sn-1", OTHER_HUB, GROUP, "deviceDataMigrated", "e", NOW, NOW)
    visitor.cloud.dps._records.put(there)
    visitor.hub.delete("sn-1", NOW)
    assert f"DPS moved it to {OTHER_HUB}" in visitor.read(f"/device{OF}", 404)


def test_connections_are_shown_packet_by_packet(visitor):
    visitor.cloud.traces.on = True
    for number in range(2):
        trace = visitor.cloud.traces.open(f"127.0.0.1:{number}", NOW)
        trace.admitted(HUB, "sn-1")
        trace.sent(b"\x40\x02\x00\x07", NOW + number)
    trace.ended("it said goodbye", NOW + 2)
    said = text_of(visitor.read(f"/device/trace{OF}"))
    assert "accepted from 127.0.0.1:1" in said
    assert "to the device PUBACK id 7" in said
    assert "ended: it said goodbye" in said
    assert "accepted from 127.0.0.1:0" in visitor.read(f"/device/trace{OF}&connection=1")
    assert "no longer traced" in visitor.done(f"/device/trace/switch{OF}", on="no")
    assert not visitor.cloud.traces.on


def test_a_fault_is_added_by_a_sentence_and_cleared(visitor):
    visitor.refused("/faults/add", 422, sentence="whatever")
    visitor.done("/faults/add", sentence="every board gets 429, twice")
    said = visitor.done("/faults/add", sentence="the 3rd board, when it registers, gets 429")
    assert "the 3rd board" in said
    assert "the 3rd board" in visitor.done("/faults/clear", rule="1")
    assert "All is well" in visitor.done("/faults/clear")
    assert not visitor.cloud.faults.active


# --- words -----------------------------------------------------------------------------------


def test_counts_have_their_noun():
    assert count_of(1, "device") == "1 device"
    assert count_of(5000, "device") == "5\u202f000 devices"


def test_addresses_hold_any_name():
    assert url("/device", id="a&b #?") == "/portal/device?id=a%26b+%23%3F"
    assert url("/group", "keys", name="") == "/portal/group#keys"


@given(st.integers(0, 500), st.text())
def test_any_leaf_of_any_list_is_one(count, page):
    part = part_of(range(count), "/x", {"page": page})
    assert len(part["rows"]) <= 50
    assert bool(part["rows"]) == bool(count)


def test_times_are_of_the_day_or_of_the_year():
    assert 'datetime="2023-11-14T22:13:20.000Z"' in when(NOW, NOW)
    assert len(text_of(when(NOW, NOW))) == len("22:13:20")
    assert len(text_of(when(NOW, NOW + 90_000))) == len("2023-11-14 22:13")
    assert when(0, NOW) == "\u2013"


def test_hosts_are_short_in_a_list():
    assert short_host(HUB) == "test-docs-hub"


def test_whose_page_it_is_need_not_be_said():
    assert without("sn-1 connected to x", "sn-1") == "connected to x"
    assert without("sn-1: method m called", "sn-1") == "method m called"
    assert without("sn-10 connected", "sn-1") == "sn-10 connected"
    assert without("sn-1 connected", "") == "sn-1 connected"


def test_bodies_are_shown_as_far_as_they_are_text():
    assert body_text(b"a\xff\x00\nb") == "a\ufffd\ufffd\nb"
    assert body_text(b"x" * 50, longest=3) == "xxx\u2026"


@given(st.text() | st.just("\ud800"))
def test_json_is_always_utf_8(text):
    pretty({text: [text]}).encode()
