"""The query language: what is found, what is refused, and that nothing breaks it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.rest.query import parse

TWIN: dict[str, Any] = {
    "deviceId": "pump-7",
    "status": "enabled",
    "connectionState": "Connected",
    "cloudToDeviceMessageCount": 0,
    "lastActivityTime": "2026-01-02T03:04:05.0000000Z",
    "tags": {"site": "home", "floor 7": 3, "list": [1], "none": None, "where": {"x": 1}},
    "properties": {
        "desired": {"interval": 5, "on": True, "$version": 2},
        "reported": {"battery": 19.5, "$metadata": {"$lastUpdated": "2026-01-02"}},
    },
}

TRUE = [
    "deviceId = 'pump-7'",
    'deviceId = "pump-7"',
    "DeviceID = 'pump-7'",
    "devices.deviceId = 'pump-7'",
    "'pump-7' = deviceId",
    "status != 'disabled' AND status <> 'x'",
    "connectionState='Connected'",
    "tags.site = 'home'",
    "tags.[[floor 7]] = 3",
    "tags.none = null",
    "tags.site != null",
    "tags.site != 5",
    "properties.desired.interval < 6 and properties.desired.interval > 4.5",
    "properties.desired.interval <= 5 and properties.desired.interval >= 5e0",
    "properties.desired.on = true",
    "properties.desired.on != 1",
    "properties.reported.battery > -1",
    "properties.reported.$metadata.$lastUpdated < '2026-02-01'",
    "lastActivityTime > '2026-01-01T00:00:00Z'",
    "NOT tags.site = 'lab'",
    "NOT (tags.site = 'lab' OR tags.site = 'shed')",
    "tags.site IN ['lab', 'home']",
    "tags.site NIN ['lab']",
    "is_defined(tags.site) AND NOT is_defined(tags.nothing)",
    "IS_NULL(tags.none) and is_number(tags.[[floor 7]]) and is_object(tags.where)",
    "is_array(tags.list) and is_string(tags.site) and is_bool(properties.desired.on)",
    "STARTS_WITH(deviceId, 'pump') or false = true",
    "startswith(deviceId, 'pump') and endswith(deviceId, '-7') and contains(deviceId, 'p-')",
    "tags.nothing = 1 OR tags.site = 'home'",
    "1 = 1",
    "'it\\'s' = 'it\\'s'",
]
FALSE = [
    "deviceId = 'Pump-7'",
    "tags.site = 5",
    "tags.site < 5",
    "tags.nothing = 1",
    "NOT tags.nothing = 1",
    "tags.nothing != 1",
    "tags.nothing = null",
    "tags.nothing IN ['a']",
    "tags.nothing NIN ['a']",
    "properties.desired.on > false",
    "properties.desired.interval = true",
    "tags.where.x.y = 1",
    "startswith(tags.nothing, 'a')",
    "tags.site = 'home' AND tags.nothing = 1",
]


def finds(condition: str) -> bool:
    return parse(f"SELECT * FROM devices WHERE {condition}").finds(TWIN)


@pytest.mark.parametrize("condition", TRUE)
def test_a_twin_is_found_by_what_is_true_of_it(condition: str) -> None:
    assert finds(condition)


@pytest.mark.parametrize("condition", FALSE)
def test_a_twin_is_not_found_by_what_is_false_or_can_not_be_told(condition: str) -> None:
    assert not finds(condition)


def test_and_binds_closer_than_or() -> None:
    assert finds("deviceId = 'pump-7' OR deviceId = 'x' AND status = 'x'")
    assert not finds("(deviceId = 'pump-7' OR deviceId = 'x') AND status = 'x'")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SELECT * FROM devices", TWIN),
        ("select deviceId from devices", {"deviceId": "pump-7"}),
        (
            "SELECT d.deviceId AS id, d.tags.site FROM devices AS d",
            {"id": "pump-7", "site": "home"},
        ),
        ("SELECT tags.where FROM devices t", {"where": {"x": 1}}),
        ("SELECT tags.nothing, status FROM devices", {"status": "enabled"}),
    ],
)
def test_columns_are_shown_by_their_names(text: str, shown: dict) -> None:
    assert parse(text).shown(TWIN) == shown


def test_a_count_has_a_name() -> None:
    assert parse("SELECT COUNT() AS number FROM devices").count == "number"
    assert parse("SELECT count(*) FROM devices").count == "$1"
    assert parse("SELECT COUNT() FROM devices").item_type == "Raw"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "SELECT is missing"),
        ("SELECT", "a property is missing"),
        ("SELECT *", "FROM is missing"),
        ("SELECT * FROM", "FROM devices is served here"),
        ("SELECT * FROM devices.modules", "not modules nor jobs"),
        ("SELECT * FROM devices.jobs", "not modules nor jobs"),
        ("SELECT * FROM enrollments", "FROM devices is served here"),
        ("SELECT * FROM devices WHERE", "a value is missing"),
        ("SELECT * FROM devices WHERE status", "a comparison is missing"),
        ("SELECT * FROM devices WHERE status =", "a value is missing"),
        ("SELECT * FROM devices WHERE status LIKE 'a'", "a comparison is missing"),
        ("SELECT * FROM devices WHERE (status = 'a'", ") is missing"),
        ("SELECT * FROM devices WHERE status = 'a", "at "),
        ("SELECT * FROM devices WHERE status IN 'a'", "[ is missing"),
        ("SELECT * FROM devices WHERE status = 'a' status", "nothing may follow"),
        ("SELECT * FROM devices WHERE magic(status)", "no function magic"),
        ("SELECT * FROM devices WHERE is_defined()", "a value is missing"),
        ("SELECT * FROM devices WHERE is_defined(a, b)", "takes 1 values"),
        ("SELECT * FROM devices ORDER BY status", "ORDER is not served"),
        ("SELECT status, COUNT() FROM devices GROUP BY status", "GROUP is not served"),
        ("SELECT status, COUNT() FROM devices", "COUNT() stands alone"),
        ("SELECT AVG(tags.x) FROM devices", "AVG is not served"),
        ("SELECT SUM(x) FROM devices", "SUM is not served"),
        ("SELECT TOP many * FROM devices", "TOP needs a number"),
        ("SELECT * FROM devices; DROP TABLE devices", "at ';"),
        ("SELECT * FROM devices WHERE " + "(" * 100, "nested"),
        ("SELECT * FROM devices WHERE " + "NOT " * 100, "nested"),
        ("x" * 10_000, "at most 8192"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ServiceError) as refused:
        parse(text)
    assert refused.value.code == 400004
    assert why in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_long_chain_is_no_deep_nest() -> None:
    assert not finds(" OR ".join(["a=1"] * 1000))


WORDS = st.sampled_from(
    [
        "SELECT", "*", "FROM", "devices", "WHERE", "AND", "OR", "NOT", "(", ")", "[", "]", "[[a]]",
        ",", ".", "=", "!=", "<>", "<=", "IN", "NIN", "AS", "TOP", "COUNT", "5", "-1.5e9", "'a'",
        '"b"', "deviceId", "tags.site", "null", "true", "is_defined", "startswith", "$version",
        "properties.reported.battery", "GROUP", "é", "\0", "'", "\\",
    ]
)  # fmt: skip


@given(st.lists(WORDS, max_size=30).map(" ".join) | st.text(max_size=200))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    for query in (text, f"SELECT * FROM devices WHERE {text}"):
        try:
            found = parse(query)
        except ServiceError as error:
            assert error.code == 400004
        else:
            assert found.finds(TWIN) in (True, False)
            assert isinstance(found.shown(TWIN), dict)
