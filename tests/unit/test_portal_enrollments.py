"""The portal's pages on enrollments and registrations, without a browser."""

import html

import pytest

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.portal.desk import Secret
from host_tools.emulator.records import Registration
from host_tools.keys import encode_key
from tests.unit.portal_bench import GROUP, HUB, KEYS, NOW, OTHER_HUB, POLICY, registered, text_of


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
    if "primary_key" in fields:
        assert fields["primary_key"] not in html.unescape(answer.text)


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
