"""Twins as values: merge patches, metadata, limits, versions, and any foreign document."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.hub.device import Device, Presence
from host_tools.emulator.hub.merge import merged, replacing, stamped
from host_tools.emulator.hub.twin import Twin
from host_tools.emulator.hub.twin_rules import LARGEST, LARGEST_TAGS, TwinError, size
from host_tools.emulator.key_pair import KeyPair

NOW = 1_700_000_000.0
THEN = "2023-11-14T22:13:20.0000000Z"
LATER = "2023-11-14T22:13:21.5000000Z"
NEW = Twin.new(NOW)

NAMES = st.sampled_from(["a", "b", "c", "long name".replace(" ", "_"), "é"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**52), 2**52)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)
PATCHES = st.dictionaries(NAMES, VALUES, max_size=4)


# --- RFC 7396


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
    ids=range(15),
)
def test_a_patch_does_as_the_rfc_says(target, patch, result):
    before = json.dumps([target, patch])
    assert merged(target, patch) == result
    assert json.dumps([target, patch]) == before


@given(PATCHES, PATCHES)
def test_a_patch_applied_twice_is_a_patch_applied_once(document, patch):
    once = merged(merged({}, document), patch)
    assert merged(once, patch) == once


@given(PATCHES, PATCHES)
def test_the_patch_between_two_documents_makes_one_of_the_other(first, second):
    old, new = merged({}, first), merged({}, second)
    patch = replacing(old, new)
    assert merged(old, patch) == new
    assert {name for name, value in patch.items() if value is not None} == set(new)


# --- metadata


def without_stamps(metadata):
    return {name: value for name, value in metadata.items() if not name.startswith("$")}


def check_metadata(metadata, value):
    assert "$lastUpdated" in metadata
    inner = without_stamps(metadata)
    if isinstance(value, dict):
        assert inner.keys() == value.keys()
        for name in value:
            check_metadata(inner[name], value[name])
    else:
        assert inner == {}


@given(st.lists(PATCHES, max_size=5))
def test_metadata_has_the_shape_of_the_document(patches):
    twin = NEW
    for patch in patches:
        twin = twin.patched({"properties": {"desired": patch}}, NOW).twin
        twin = twin.report(json.dumps(patch).encode(), NOW)
    for section in (twin.desired_section, twin.reported_section):
        check_metadata(section.metadata, section.values)


@given(PATCHES, PATCHES)
def test_what_a_patch_does_not_name_keeps_its_stamp(first, second):
    metadata = stamped(stamped({}, first, {"$lastUpdated": 1}), second, {"$lastUpdated": 2})
    kept = {name for name, value in first.items() if value is not None} - second.keys()
    named = {name for name, value in second.items() if value is not None}
    assert set(without_stamps(metadata)) == kept | named
    assert {metadata[name]["$lastUpdated"] for name in kept} <= {1}
    assert {metadata[name]["$lastUpdated"] for name in named} <= {2}
    assert metadata["$lastUpdated"] == 2


def test_metadata_says_when_and_for_desired_properties_with_which_version():
    twin = NEW.patched({"properties": {"desired": {"a": {"b": 1, "c": [2]}}}}, NOW).twin
    twin = twin.patched({"properties": {"desired": {"a": {"b": 5}}}}, NOW + 1.5).twin
    old, new = (
        {"$lastUpdated": when, "$lastUpdatedVersion": version}
        for when, version in ((THEN, 2), (LATER, 3))
    )
    assert twin.desired_section.document() == {
        "a": {"b": 5, "c": [2]},
        "$metadata": {**new, "a": {**new, "b": new, "c": old}},
        "$version": 3,
    }
    reported = NEW.report(b'{"a":1}', NOW + 1.5).reported_section.document()
    assert reported == {
        "a": 1,
        "$metadata": {"$lastUpdated": LATER, "a": {"$lastUpdated": LATER}},
        "$version": 2,
    }


# --- versions


def test_a_new_twin_is_empty():
    assert json.loads(NEW.document()) == {"desired": {"$version": 1}, "reported": {"$version": 1}}
    assert (NEW.version, NEW.etag, NEW.tags) == (2, "AAAAAAAAAAE=", {})


def test_the_etag_changes_with_the_service_and_the_version_with_both():
    reported = NEW.report(b"{}", NOW)
    assert (reported.version, reported.etag) == (3, NEW.etag)
    assert reported.reported_section.version == 2
    tagged = reported.patched({"tags": {"a": 1}}, NOW).twin
    assert (tagged.version, tagged.etag) == (4, "AAAAAAAAAAI=")
    assert tagged.desired_section.version == 1
    desired = tagged.patched({"properties": {"desired": {"a": 1}}}, NOW).twin
    assert (desired.version, desired.etag, desired.desired_section.version) == (
        5,
        "AAAAAAAAAAM=",
        2,
    )


def test_the_document_follows_every_change():
    twin = NEW
    twin.document()
    twin = twin.report(b'{"a":1}', NOW)
    assert json.loads(twin.document())["reported"] == {"a": 1, "$version": 2}
    twin = twin.patched({"properties": {"desired": {"b": 2}}}, NOW).twin
    assert json.loads(twin.document())["desired"] == {"b": 2, "$version": 2}
    assert twin.document() is twin.document()


# --- what the service may say


def test_a_patch_changes_what_it_names():
    edit = NEW.patched({"tags": {"a": 1}}, NOW)
    assert (edit.twin.tags, edit.tags, edit.desired) == ({"a": 1}, True, None)
    edit = NEW.patched({"properties": {"desired": {"b": {"c": None}}}}, NOW)
    assert (edit.twin.desired, edit.tags, edit.desired) == ({"b": {}}, False, {"b": {"c": None}})


FULL = NEW.patched(
    {"tags": {"a": 1}, "properties": {"desired": {"b": 2, "c": {"d": 3}}}}, NOW
).twin


@pytest.mark.parametrize("change", [Twin.patched, Twin.replaced])
def test_null_empties_a_section(change):
    edit = change(FULL, {"tags": None, "properties": {"desired": None}}, NOW)
    assert (edit.twin.tags, edit.twin.desired) == ({}, {})
    assert edit.desired == {"b": None, "c": None}


def test_a_replacement_leaves_nothing_of_what_was_and_tells_the_device_so():
    edit = FULL.replaced({"properties": {"desired": {"c": {"e": 4}}}}, NOW)
    assert edit.twin.desired == {"c": {"e": 4}}
    assert edit.desired == {"b": None, "c": {"d": None, "e": 4}}
    assert edit.twin.tags == {"a": 1}
    check_metadata(edit.twin.desired_section.metadata, edit.twin.desired)
    assert FULL.replaced({"tags": {"z": 1}}, NOW).twin.tags == {"z": 1}


@given(PATCHES, PATCHES)
def test_a_device_that_applies_the_patch_of_a_replacement_has_the_new_document(first, second):
    twin = NEW.patched({"properties": {"desired": first}}, NOW).twin
    edit = twin.replaced({"properties": {"desired": second}}, NOW)
    assert merged(twin.desired, edit.desired) == edit.twin.desired == merged({}, second)
    check_metadata(edit.twin.desired_section.metadata, edit.twin.desired)


@pytest.mark.parametrize("change", [Twin.patched, Twin.replaced])
def test_a_twin_that_was_read_may_be_sent_back_whole(change):
    device = Device("hub", "dev-1", KeyPair())
    document = FULL.service_document(device, Presence(False, 0, 0), 0)
    twin = change(FULL, json.loads(json.dumps(document)), NOW).twin
    assert (twin.tags, twin.desired, twin.reported) == (FULL.tags, FULL.desired, FULL.reported)


@pytest.mark.parametrize("change", [Twin.patched, Twin.replaced])
@pytest.mark.parametrize("document", [{}, {"properties": {}}, {"properties": None}, {"status": 1}])
def test_what_names_no_section_changes_nothing(change, document):
    edit = change(FULL, document, NOW)
    assert edit.twin is FULL
    assert not edit.tags
    assert edit.desired is None


@pytest.mark.parametrize("change", [Twin.patched, Twin.replaced])
@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        7,
        {"tags": 7},
        {"tags": []},
        {"properties": "x"},
        {"properties": {"desired": [1]}},
        {"tags": {"a.b": 1}},
        {"tags": {"a": {"$version": 1}}},
        {"properties": {"desired": {"$a": 1}}},
        {"tags": {"a": float("nan")}},
        {"tags": {"a": 2**52 + 1}},
        {"tags": {7: 1}},
        {"tags": {"a": {1, 2}}},
    ],
    ids=repr,
)
def test_what_is_no_twin_is_refused(change, document):
    with pytest.raises(TwinError) as error:
        change(FULL, document, NOW)
    assert error.value.code == 400004


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
TWINS = (
    JSON
    | st.fixed_dictionaries({}, optional={"tags": JSON, "properties": JSON})
    | st.fixed_dictionaries(
        {"properties": st.fixed_dictionaries({}, optional={"desired": JSON, "reported": JSON})}
    )
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_patch_of_a_devices_is_taken_or_refused(patch):
    try:
        twin = FULL.report(patch, NOW)
    except TwinError as error:
        assert error.status in (400, 413)
    else:
        check_metadata(twin.reported_section.metadata, twin.reported)
        assert json.loads(twin.document())["reported"]["$version"] == 2
        assert Twin.restored(twin.stored()) == twin


@given(TWINS, st.sampled_from([Twin.patched, Twin.replaced]))
def test_any_document_of_the_services_is_taken_or_refused(document, change):
    try:
        twin = change(FULL, document, NOW).twin
    except TwinError as error:
        assert error.status in (400, 413)
    else:
        check_metadata(twin.desired_section.metadata, twin.desired)
        assert json.loads(twin.document())["desired"]["$version"] >= 2
        assert Twin.restored(twin.stored()) == twin


def test_a_nest_deeper_than_the_stack_is_refused():
    nest = {}
    for _ in range(100_000):
        nest = {"a": nest}
    with pytest.raises(TwinError, match="nested"):
        NEW.patched({"tags": nest}, NOW)
    while nest:  # else its end is recursive
        nest = nest["a"]


# --- size


@pytest.mark.parametrize(
    ("value", "counted"),
    [
        ({}, 0),
        ({"ab": "cde"}, 5),
        ({"é": "€"}, 5),
        ({"a": 1, "b": 1.5e300, "c": -7}, 27),
        ({"a": True, "b": False}, 10),
        ({"a": {"b": {"c": "d"}}}, 4),
        ({"a": [1, "bc", None, [True]]}, 15),
        ({"a": "x\x00\x1f\x7f\x9fy"}, 3),
        ({"a": "\ud800"}, 4),
    ],
    ids=range(9),
)
def test_a_size_is_counted_as_the_service_does(value, counted):
    assert size(value) == counted


def filled(size):
    texts, rest = divmod(size, 4097)
    document = {chr(0x61 + number): "x" * 4096 for number in range(texts)}
    return {**document, "z": "x" * (rest - 1)} if rest else document


@pytest.mark.parametrize(
    ("change", "largest"),
    [
        (lambda twin, some: twin.patched({"tags": some}, NOW), LARGEST_TAGS),
        (lambda twin, some: twin.replaced({"tags": some}, NOW), LARGEST_TAGS),
        (lambda twin, some: twin.patched({"properties": {"desired": some}}, NOW), LARGEST),
        (lambda twin, some: twin.replaced({"properties": {"desired": some}}, NOW), LARGEST),
        (lambda twin, some: twin.report(json.dumps(some).encode(), NOW), LARGEST),
    ],
    ids=range(5),
)
def test_each_section_has_its_largest_size(change, largest):
    assert size(filled(largest)) == largest
    change(NEW, filled(largest))
    with pytest.raises(TwinError) as error:
        change(NEW, filled(largest + 1))
    assert error.value.code == 413001


def test_a_size_is_that_of_the_result_not_of_the_patch():
    twin = NEW.patched({"tags": filled(LARGEST_TAGS)}, NOW).twin
    with pytest.raises(TwinError):
        twin.patched({"tags": {"y": ""}}, NOW)
    assert twin.patched({"tags": {"a": None, "y": "x" * 4096}}, NOW).twin.tags["y"]


# --- as the service shows it


def test_the_services_document_has_what_the_registry_knows():
    device = Device(
        "hub", "dev-1", KeyPair(b"k" * 32), False, "stolen", "g", "ZQ==", NOW, NOW + 1.5, True
    )
    document = FULL.service_document(device, Presence(True, NOW, NOW), 3)
    stamp = {"$lastUpdated": THEN, "$lastUpdatedVersion": 2}
    assert document == {
        "deviceId": "dev-1",
        "etag": "AAAAAAAAAAI=",
        "deviceEtag": "ZQ==",
        "status": "disabled",
        "statusReason": "stolen",
        "statusUpdateTime": LATER,
        "connectionState": "Connected",
        "lastActivityTime": THEN,
        "cloudToDeviceMessageCount": 3,
        "authenticationType": "sas",
        "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
        "modelId": "",
        "version": 3,
        "tags": {"a": 1},
        "properties": {
            "desired": {
                "b": 2,
                "c": {"d": 3},
                "$metadata": {**stamp, "b": stamp, "c": {**stamp, "d": stamp}},
                "$version": 2,
            },
            "reported": {"$metadata": {"$lastUpdated": THEN}, "$version": 1},
        },
        "capabilities": {"iotEdge": True},
    }
    never = NEW.service_document(Device("hub", "dev-1", KeyPair()), Presence(False, 0, 0), 0)
    assert never["lastActivityTime"] == "0001-01-01T00:00:00Z"
    assert "kkkk" not in json.dumps(document)
