"""Twins, queries and direct methods over REST."""

import asyncio
import json

import pytest

from tests.unit.rest_bench import Bench, Device, awaited, bench
from tests.unit.test_rest_devices import words

METHODS = "$iothub/methods/POST/#"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"


@awaited
async def test_a_patch_is_merged_and_the_device_is_told() -> None:
    with bench() as it:
        device = it.connected(await it.create(), DESIRED)
        patch = {"tags": {"site": "x"}, "properties": {"desired": {"interval": 5}}}
        twin = await it.ask("PATCH", "/twins/pump-7", patch)
        assert twin.status_code == 200, twin.text
        assert twin.json()["tags"] == {"site": "x"}
        assert twin.json()["properties"]["desired"]["interval"] == 5
        assert twin.headers["etag"] == f'"{twin.json()["etag"]}"'
        assert json.loads(device.got[-1].payload) == {"interval": 5, "$version": 2}
        assert (await it.ask("GET", "/twins/pump-7")).json() == twin.json()
        more = {"properties": {"desired": {"interval": None, "a": {"b": 1}}}}
        twin = await it.ask("PATCH", "/twins/pump-7", more)
        assert twin.json()["tags"] == {"site": "x"}
        assert "interval" not in twin.json()["properties"]["desired"]


@awaited
async def test_put_leaves_nothing_of_what_was_there() -> None:
    with bench() as it:
        await it.create()
        patch = {"tags": {"site": "x"}, "properties": {"desired": {"a": 1, "b": 2}}}
        twin = (await it.ask("PATCH", "/twins/pump-7", patch)).json()
        twin["properties"]["desired"] = {**twin["properties"]["desired"], "a": 5}
        del twin["tags"], twin["properties"]["desired"]["b"]
        put = await it.ask("PUT", "/twins/pump-7", twin, if_match=twin["etag"])
        assert put.status_code == 200, put.text
        desired = put.json()["properties"]["desired"]
        assert (put.json().get("tags", {}), desired["a"], "b" in desired) == ({}, 5, False)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@awaited
async def test_a_stale_etag_changes_nothing(method: str) -> None:
    with bench() as it:
        await it.create()
        before = (await it.ask("GET", "/twins/pump-7")).json()
        body = {"tags": {"a": 1}}
        stale = await it.ask(method, "/twins/pump-7", body, if_match='"AAAAAAAAAAk="')
        words(stale, 412, "PreconditionFailed")
        assert (await it.ask("GET", "/twins/pump-7")).json() == before
        for good in (before["etag"], "*"):
            answer = await it.ask(method, "/twins/pump-7", body, if_match=good)
            assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        ([], 400, "ArgumentInvalid"),
        ({"tags": []}, 400, "ArgumentInvalid"),
        ({"properties": {"desired": 5}}, 400, "ArgumentInvalid"),
        ({"properties": 5}, 400, "ArgumentInvalid"),
        ({"tags": {"a.b": 1}}, 400, "ArgumentInvalid"),
        ({"tags": {"a": "x" * 9000}}, 400, "ArgumentInvalid"),
        ({"tags": {f"{n}": "x" * 1000 for n in range(9)}}, 413, "MessageTooLarge"),
    ],
)
@awaited
async def test_a_wrong_twin_is_refused(body: object, status: int, name: str) -> None:
    with bench() as it:
        await it.create()
        for method in ("PATCH", "PUT"):
            assert words(await it.ask(method, "/twins/pump-7", body), status, name)


@awaited
async def test_nobodys_twin_is_not_found() -> None:
    with bench() as it:
        for method in ("GET", "PATCH", "PUT"):
            body = None if method == "GET" else {}
            words(await it.ask(method, "/twins/pump-7", body), 404, "DeviceNotFound")


# --- queries


async def find(it: Bench, text: object, **headers: str) -> tuple[list[dict], dict[str, str]]:
    answer = await it.ask("POST", "/devices/query", {"query": text}, **headers)
    assert answer.status_code == 200, answer.text
    return answer.json(), answer.headers


@awaited
async def test_twins_are_found_page_by_page() -> None:
    with bench() as it:
        for number in range(7):
            await it.create(f"d{number}")
        found, more, pages = [], "", 0
        while more or not pages:
            page, headers = await find(
                it, "SELECT * FROM devices WHERE deviceId != 'd3'",
                x_ms_max_item_count="2", **({"x_ms_continuation": more} if more else {}),
            )  # fmt: skip
            assert headers["x-ms-item-type"] == "Twin"
            found += [twin["deviceId"] for twin in page]
            more, pages = headers.get("x-ms-continuation", ""), pages + 1
        assert (found, pages) == (["d0", "d1", "d2", "d4", "d5", "d6"], 3)


@awaited
async def test_a_query_may_ask_for_parts_for_a_few_or_for_a_count() -> None:
    with bench() as it:
        for number in range(5):
            await it.create(f"d{number}")
        await it.ask("PATCH", "/twins/d1", {"tags": {"site": "x"}})
        found, headers = await find(it, "SELECT deviceId, tags.site AS place FROM devices")
        assert headers["x-ms-item-type"] == "Raw"
        assert found[:2] == [{"deviceId": "d0"}, {"deviceId": "d1", "place": "x"}]
        found, headers = await find(it, "SELECT TOP 3 * FROM devices", x_ms_max_item_count="2")
        more = headers["x-ms-continuation"]
        rest, headers = await find(it, "SELECT TOP 3 * FROM devices", x_ms_continuation=more)
        assert [twin["deviceId"] for twin in found + rest] == ["d0", "d1", "d2"]
        assert "x-ms-continuation" not in headers
        found, _ = await find(it, "SELECT COUNT() AS n FROM devices WHERE is_defined(tags.site)")
        assert found == [{"n": 1}]


@awaited
async def test_a_wrong_query_is_refused_with_the_reason() -> None:
    with bench() as it:
        for body, why in (
            ({"query": "SELECT * FROM devices WHERE"}, "a value is missing"),
            ({"query": "DROP TABLE devices"}, "SELECT is missing"),
            ({}, "SELECT is missing"),
            ({"query": 5}, "query is not a text"),
            ([], "not a JSON object"),
        ):
            answer = await it.ask("POST", "/devices/query", body)
            assert why in words(answer, 400, "ArgumentInvalid")
        good = {"query": "SELECT * FROM devices"}
        for header, value in (
            ("x_ms_max_item_count", "0"),
            ("x_ms_max_item_count", "many"),
            ("x_ms_max_item_count", "9" * 5000),
            ("x_ms_continuation", "made up"),
            ("x_ms_continuation", "e30="),
            ("x_ms_continuation", "WyJhIiwgMV0="),
        ):
            answer = await it.ask("POST", "/devices/query", good, **{header: value})
            words(answer, 400, "ArgumentInvalid")


# --- direct methods


async def called(it: Bench, device: Device, body: dict) -> tuple[asyncio.Task, str]:
    """A call on its way, and the request ID by which the device knows it."""
    call = asyncio.create_task(it.ask("POST", "/twins/pump-7/methods", body))
    while not device.got:
        await asyncio.sleep(0)
    return call, device.got.pop().topic.rpartition("$rid=")[2]


@awaited
async def test_a_method_is_answered_by_the_device() -> None:
    with bench() as it:
        device = it.connected(await it.create(), METHODS)
        call, rid = await called(it, device, {"methodName": "reboot", "payload": {"delay": 1}})
        device.publish(f"$iothub/methods/res/207/?$rid={rid}", b'{"at": [1, null]}')
        answer = await call
        assert (answer.status_code, answer.json()) == (
            200,
            {"status": 207, "payload": {"at": [1, None]}},
        )


HALF = b'{"a": "\\ud800"}'  # of a surrogate pair: JSON, and has no UTF-8


@awaited
async def test_half_a_surrogate_pair_comes_through_as_it_was_written() -> None:
    with bench() as it:
        device = it.connected(await it.create(), METHODS)
        device.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", HALF)
        twin = (await it.ask("GET", "/twins/pump-7")).json()
        assert twin["properties"]["reported"]["a"] == "\ud800"
        found, _ = await find(it, "SELECT * FROM devices")
        assert found == [twin]
        call, rid = await called(it, device, {"methodName": "reboot"})
        device.publish(f"$iothub/methods/res/200/?$rid={rid}", HALF)
        assert (await call).json()["payload"] == json.loads(HALF)


# as the service does: an error within an error, as text
def nested(answer, status: int, name: str, code: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["iothub-errorcode"] == name
    assert answer.json()["ExceptionMessage"] == ""
    inner = json.loads(answer.json()["Message"])
    assert inner["errorCode"] == code
    assert inner["trackingId"]
    assert inner["timestampUtc"].endswith("Z")
    return inner["message"]


@awaited
async def test_who_is_not_there_can_not_be_called() -> None:
    with bench() as it:
        path, body = "/twins/pump-7/methods", {"methodName": "reboot"}
        nested(await it.ask("POST", path, body), 404, "DeviceNotFound", 404001)
        await it.create()
        nested(await it.ask("POST", path, body), 404, "DeviceNotOnline", 404103)


@awaited
async def test_a_device_that_does_not_answer_is_given_up() -> None:
    with bench() as it:
        device = it.connected(await it.create(), METHODS)
        call, _ = await called(it, device, {"methodName": "reboot", "responseTimeoutInSeconds": 5})
        it.hubs.expire(1e12, 1e12)
        nested(await call, 504, "GatewayTimeout", 504101)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"methodName": ""},
        {"methodName": 5},
        {"methodName": "m", "responseTimeoutInSeconds": 4},
        {"methodName": "m", "responseTimeoutInSeconds": "30"},
        {"methodName": "m", "responseTimeoutInSeconds": True},
        {"methodName": "m", "responseTimeoutInSeconds": 301},
        {"methodName": "m", "responseTimeoutInSeconds": 30, "connectTimeoutInSeconds": 31},
        {"methodName": "m", "connectTimeoutInSeconds": -1},
        [],
    ],
)
@awaited
async def test_a_wrong_call_is_refused(body: object) -> None:
    with bench() as it:
        it.connected(await it.create(), METHODS)
        answer = await it.ask("POST", "/twins/pump-7/methods", body)
        assert nested(answer, 400, "ArgumentInvalid", 400004)
