"""A hub's registry over REST: identities, lists, bulk, counts, and the errors that SDKs read."""

import pytest

from host_tools.keys import encode_key
from tests.unit.rest_bench import HUB, KEYS, OTHER_HUB, TOKEN, awaited, bench

SAS = {
    "type": "sas",
    "symmetricKey": {
        "primaryKey": encode_key(KEYS.primary),
        "secondaryKey": encode_key(KEYS.secondary),
    },
}
EMPTY = {"type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}


def words(answer, status: int, name: str) -> str:
    """The message of an error with this name, in the shape that all SDKs know."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert answer.headers["iothub-errorcode"] == name
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["x-ms-request-id"]
    assert body["ExceptionMessage"].startswith("Tracking ID:")
    head, _, message = body["Message"].partition(";")
    assert head == f"ErrorCode:{name}"
    return message


@awaited
async def test_a_device_is_made_shown_changed_and_deleted() -> None:
    with bench() as it:
        made = await it.create(authentication=SAS, statusReason="on the shelf")
        assert made["deviceId"] == "pump-7"
        assert made["authentication"]["symmetricKey"] == SAS["symmetricKey"]
        assert (made["status"], made["statusReason"]) == ("enabled", "on the shelf")
        assert (made["connectionState"], made["cloudToDeviceMessageCount"]) == ("Disconnected", 0)
        shown = await it.ask("GET", "/devices/pump-7")
        assert (shown.status_code, shown.json()) == (200, made)
        assert shown.headers["etag"] == f'"{made["etag"]}"'
        changed = await it.ask(
            "PUT", "/devices/pump-7", {**made, "status": "disabled"}, if_match=made["etag"]
        )
        assert changed.status_code == 200
        assert changed.json()["status"] == "disabled"
        assert changed.json()["generationId"] == made["generationId"]
        assert changed.json()["etag"] != made["etag"]
        gone = await it.ask("DELETE", "/devices/pump-7", if_match="*")
        assert (gone.status_code, gone.content) == (204, b"")
        assert words(await it.ask("GET", "/devices/pump-7"), 404, "DeviceNotFound")


@pytest.mark.parametrize("authentication", [None, {}, {"type": "sas"}, EMPTY])
@awaited
async def test_a_device_without_keys_gets_some(authentication: object) -> None:
    with bench() as it:
        made = await it.create(authentication=authentication)
        keys = made["authentication"]["symmetricKey"]
        assert len(keys["primaryKey"]) == len(keys["secondaryKey"]) == 44
        assert keys["primaryKey"] != keys["secondaryKey"]
        # PUT replaces all of an identity, its keys too
        again = await it.ask("PUT", "/devices/pump-7", {"deviceId": "pump-7"}, if_match="*")
        assert again.json()["authentication"]["symmetricKey"] != keys


@awaited
async def test_without_if_match_put_only_creates_and_with_it_only_updates() -> None:
    with bench() as it:
        nobody = await it.ask("PUT", "/devices/pump-7", {}, if_match="*")
        words(nobody, 404, "DeviceNotFound")
        await it.create()
        words(await it.ask("PUT", "/devices/pump-7", {}), 409, "DeviceAlreadyExists")
        stale = await it.ask("PUT", "/devices/pump-7", {}, if_match='"MTIz"')
        words(stale, 412, "PreconditionFailed")


@awaited
async def test_delete_needs_an_etag() -> None:
    with bench() as it:
        made = await it.create()
        assert words(await it.ask("DELETE", "/devices/pump-7"), 412, "PreconditionFailed")
        stale = await it.ask("DELETE", "/devices/pump-7", if_match="MTIz")
        words(stale, 412, "PreconditionFailed")
        gone = await it.ask("DELETE", "/devices/pump-7", if_match=f'"{made["etag"]}"')
        assert gone.status_code == 204
        words(await it.ask("DELETE", "/devices/pump-7", if_match="*"), 404, "DeviceNotFound")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"deviceId": "other"}, "not the one in the address"),
        ({"status": "asleep"}, "status is none of enabled, disabled"),
        ({"status": 1}, "status is not a text"),
        ({"statusReason": "x" * 129}, "at most 128"),
        ({"authentication": {"type": "selfSigned"}}, "symmetric keys only"),
        ({"authentication": {"type": "certificateAuthority"}}, "symmetric keys only"),
        ({"authentication": {"type": "none"}}, "symmetric keys only"),
        ({"authentication": {"x509Thumbprint": {"primaryThumbprint": "AB"}}}, "symmetric keys"),
        ({"authentication": {"symmetricKey": {"primaryKey": "AAAA"}}}, "has 3 bytes"),
        ({"authentication": {"symmetricKey": {"primaryKey": "not Base64"}}}, "is not Base64"),
        (
            {"authentication": {"symmetricKey": {"primaryKey": encode_key(KEYS.primary)}}},
            "Either no keys or both keys can be set",
        ),
        ({"authentication": []}, "authentication is not a JSON object"),
        ({"capabilities": {"iotEdge": "yes"}}, "iotEdge is neither true nor false"),
        ({"deviceScope": "ms-azure-iot-edge://x"}, "deviceScope"),
        ([], "the body is not a JSON object"),
    ],
)
@awaited
async def test_a_wrong_identity_is_refused_with_the_reason(body: object, why: str) -> None:
    with bench() as it:
        answer = await it.ask("PUT", "/devices/pump-7", body)
        assert why in words(answer, 400, "ArgumentInvalid")
        assert it.hub.devices() == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b'{"a": 1e999}', b'"\\ud800"'])
@awaited
async def test_what_is_not_json_is_said_to_be(body: bytes) -> None:
    with bench() as it:
        answer = await it.ask("PUT", "/devices/pump-7", body)
        assert words(answer, 400, "IotHubFormatError") == "the body is not JSON in UTF-8"


@awaited
async def test_a_device_id_may_have_all_that_a_topic_can_hold() -> None:
    with bench() as it:
        name = "a-:._%*?!(),=@;$'9"
        path = "/devices/a-:._%25*%3F!(),=@;$'9"
        made = await it.ask("PUT", path, {"deviceId": name})
        assert made.json()["deviceId"] == name
        assert (await it.ask("GET", path)).json() == made.json()
        words(await it.ask("PUT", "/devices/a%20b", {}), 400, "ArgumentInvalid")
        words(await it.ask("PUT", "/devices/" + "a" * 129, {}), 400, "ArgumentInvalid")
        words(await it.ask("PUT", "/devices/a%2Fb", {}), 404, "NotFound")


@awaited
async def test_disabling_and_deleting_end_the_connection() -> None:
    with bench() as it:
        device = it.connected(made := await it.create())
        shown = (await it.ask("GET", "/devices/pump-7")).json()
        assert shown["connectionState"] == "Connected"
        body = {**made, "status": "disabled"}
        await it.ask("PUT", "/devices/pump-7", body, if_match="*")
        assert device.dropped == "its identity was disabled"


@awaited
async def test_a_list_has_as_many_as_are_asked_for() -> None:
    with bench() as it:
        for name in ("c", "a", "b"):
            await it.create(name)

        async def listed(query: str = "") -> list[str]:
            answer = await it.ask("GET", f"/devices{query}")
            assert answer.status_code == 200, answer.text
            return [device["deviceId"] for device in answer.json()]

        assert await listed() == ["a", "b", "c"]
        assert await listed("?top=2") == ["a", "b"]
        assert await listed("?top=0") == await listed("?top=-1") == await listed("?top=5000")
        words(await it.ask("GET", "/devices?top=many"), 400, "ArgumentInvalid")


@awaited
async def test_devices_are_counted() -> None:
    with bench() as it:
        it.connected(await it.create("a"))
        await it.create("b", status="disabled")
        assert (await it.ask("GET", "/statistics/devices")).json() == {
            "totalDeviceCount": 2, "enabledDeviceCount": 1, "disabledDeviceCount": 1,
        }  # fmt: skip
        assert (await it.ask("GET", "/statistics/service")).json() == {"connectedDeviceCount": 1}


@awaited
async def test_waiting_messages_are_purged() -> None:
    with bench() as it:
        await it.create()
        path = f"/keystead/hubs/{HUB}/devices/pump-7/messages"
        for _ in range(3):
            assert (await it.ask("POST", path, b"hello")).status_code == 204
        assert (await it.ask("GET", "/devices/pump-7")).json()["cloudToDeviceMessageCount"] == 3
        purged = await it.ask("DELETE", "/devices/pump-7/commands")
        assert purged.json() == {
            "totalMessagesPurged": 3, "deviceId": "pump-7", "moduleId": None,
        }  # fmt: skip
        words(await it.ask("DELETE", "/devices/nobody/commands"), 404, "DeviceNotFound")


@awaited
async def test_many_changes_are_made_at_once() -> None:
    with bench() as it:
        await it.create("old")
        await it.create("stale")
        changes = [
            {"id": "new", "importMode": "create", "status": "enabled", "tags": {"site": "x"}},
            {"id": "old", "importMode": "delete"},
            {"id": "other", "importMode": "createOrUpdate", "authentication": SAS},
        ]
        answer = await it.ask("POST", "/devices", changes)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"isSuccessful": True, "errors": [], "warnings": []}
        assert [one.device_id for one in it.hub.devices()] == ["new", "other", "stale"]
        assert it.hub.twin("new").tags == {"site": "x"}
        assert it.hub.device("other").keys == KEYS


@awaited
async def test_a_change_that_fails_keeps_no_other_from_being_made() -> None:
    with bench() as it:
        made = await it.create("old")
        changes = [
            {"id": "old", "importMode": "create"},
            {"id": "none", "importMode": "update", "status": "enabled"},
            {"id": "old", "importMode": "delete"},
            {"id": "good", "importMode": "create"},
            {"id": "also", "importMode": "updateTwinIfMatchETag", "twinETag": "MTIz"},
        ]
        answer = await it.ask("POST", "/devices", changes)
        assert answer.status_code == 400
        assert answer.headers["iothub-errorcode"] == "BulkRegistryOperationFailure"
        found = {one["deviceId"]: one["errorCode"] for one in answer.json()["errors"]}
        assert found == {
            "old": "DeviceDefinedMultipleTimes",
            "none": "DeviceNotFound",
            "also": "DeviceNotFound",
        }
        assert [one.device_id for one in it.hub.devices()] == ["good", "old"]
        stale = [{"id": "old", "importMode": "deleteIfMatchETag", "eTag": "MTIz"}]
        errors = (await it.ask("POST", "/devices", stale)).json()["errors"]
        assert errors[0]["errorCode"] == "PreconditionFailed"
        fresh = [{"id": "old", "importMode": "updateIfMatchETag", "eTag": made["etag"]}]
        assert (await it.ask("POST", "/devices", fresh)).json()["isSuccessful"]


@awaited
async def test_a_hundred_changes_are_the_most() -> None:
    with bench() as it:
        many = [{"id": f"d{number}", "importMode": "create"} for number in range(101)]
        words(await it.ask("POST", "/devices", many), 413, "TooManyDevices")
        assert (await it.ask("POST", "/devices", many[:100])).status_code == 200
        for wrong in ({}, [1], [{"id": 5}]):
            words(await it.ask("POST", "/devices", wrong), 400, "ArgumentInvalid")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/devices/pump-7/modules", "modules"),
        ("/devices/pump-7/modules/m", "modules"),
        ("/twins/pump-7/modules/m", "modules"),
        ("/configurations/c", "configurations"),
        ("/jobs/v2/j", "jobs"),
        ("/digitaltwins/pump-7", "digital twins"),
    ],
)
@awaited
async def test_what_is_not_there_is_said_to_be_so(path: str, name: str) -> None:
    with bench() as it:
        assert name in words(await it.ask("GET", path), 501, "NotImplemented")


@awaited
async def test_an_address_or_a_method_that_nobody_serves_is_an_error_as_any_other() -> None:
    with bench() as it:
        words(await it.ask("GET", "/nowhere"), 404, "NotFound")
        words(await it.ask("DELETE", "/devices"), 405, "MethodNotAllowed")
        words(await it.ask("POST", "/statistics/devices", {}), 405, "MethodNotAllowed")


@awaited
async def test_any_date_will_do_for_an_api_version_and_nothing_else() -> None:
    with bench() as it:
        for good in ("2018-06-30", "2021-04-12", "2024-03-31", "2020-05-31-preview"):
            answer = await it.ask("GET", f"/devices?api-version={good}")
            assert answer.status_code == 200, answer.text
        for bad in ("", "1", "latest"):
            answer = await it.ask("GET", f"/devices?api-version={bad}")
            words(answer, 400, "InvalidProtocolVersion")


# --- who may


RIGHTS = [
    ("GET", "/devices/pump-7", {"iothubowner", "registryRead", "registryReadWrite"}),
    ("PUT", "/devices/other", {"iothubowner", "registryReadWrite"}),
    ("GET", "/twins/pump-7", {"iothubowner", "service"}),
    ("DELETE", "/devices/pump-7/commands", {"iothubowner", "service"}),
]


@pytest.mark.parametrize(("method", "path", "allowed"), RIGHTS)
@awaited
async def test_a_policy_opens_what_its_rights_are_for(
    method: str, path: str, allowed: set[str]
) -> None:
    with bench() as it:
        await it.create()
        for policy in ("iothubowner", "service", "device", "registryRead", "registryReadWrite"):
            body = {} if method == "PUT" else None
            answer = await it.ask(method, path, body, authorization=it.token(policy))
            assert (answer.status_code != 401) == (policy in allowed), policy
            if policy not in allowed:
                assert words(answer, 401, "IotHubUnauthorizedAccess") == "Unauthorized"


@awaited
async def test_who_is_turned_away_hears_nothing_and_the_operator_all() -> None:
    with bench() as it:
        token = it.token()
        for wrong, why in (
            ("", "no-token"),
            ("Basic YTpi", "malformed"),
            (token.replace("sig=", "sig=A"), "bad-signature"),
            (it.token(hub=OTHER_HUB), "wrong-key"),
            (it.token(life=-5), "expired"),
            (it.token(host="elsewhere.example"), "wrong-resource"),
            (token.replace("skn=iothubowner", "skn=nobody"), "unknown-policy"),
            (it.token("service"), "no-right"),
        ):
            answer = await it.ask("GET", "/devices", authorization=wrong)
            words(answer, 401, "IotHubUnauthorizedAccess")
            said = it.events[-1].fields()
            assert (said["reason"], said["answer"], said["service"]) == (why, "HTTP 401", HUB)
            assert "sig=" not in it.events[-1].json() + repr(it.events[-1])


@awaited
async def test_by_an_alias_the_key_tells_which_hub_is_meant() -> None:
    with bench() as it:
        it.hubs.hub(OTHER_HUB).create("theirs", 1.0)
        for host in ("localhost:8443", "127.0.0.1:8443", "bench.example.org"):
            token = it.token(host=host, hub=OTHER_HUB)
            answer = await it.ask("GET", "/devices", host=host, authorization=token)
            assert [one["deviceId"] for one in answer.json()] == ["theirs"]
        nobody = it.token(host="localhost").replace("&se=", "&se=1")
        answer = await it.ask("GET", "/devices", host="localhost", authorization=nobody)
        words(answer, 401, "IotHubUnauthorizedAccess")


@awaited
async def test_a_hubs_own_name_is_known_in_any_case_and_with_a_port() -> None:
    with bench() as it:
        token = it.token(host=f"{HUB.upper()}:8443")
        answer = await it.ask("GET", "/devices", host=f"{HUB.upper()}:8443", authorization=token)
        assert answer.status_code == 200, answer.text


@awaited
async def test_the_control_token_opens_every_hub_by_its_name() -> None:
    with bench() as it:
        it.hubs.hub(OTHER_HUB).create("theirs", 1.0)
        bearer = f"Bearer {TOKEN}"
        path = f"/keystead/hubs/{OTHER_HUB}/devices/theirs"
        answer = await it.ask("GET", path, host="localhost", authorization=bearer)
        assert answer.json()["deviceId"] == "theirs"
        wrong = await it.ask("GET", path, host="localhost", authorization="Bearer nothing")
        words(wrong, 401, "IotHubUnauthorizedAccess")
        unknown = await it.ask("GET", "/keystead/hubs/x/devices", authorization=bearer)
        assert unknown.status_code == 404
        words(
            await it.ask("GET", "/devices", host="localhost", authorization=bearer),
            404,
            "IotHubNotFound",
        )


# --- a rule of the faults


@awaited
async def test_a_rule_may_want_an_error() -> None:
    with bench() as it:
        control = {"authorization": f"Bearer {TOKEN}"}
        rule = {
            "who": "pump-7",
            "when": "a program calls the service API",
            "gets": "429, retry after 5 s",
        }
        await it.create()
        added = await it.ask("POST", "/keystead/faults", rule, **control)
        if added.status_code != 200:
            pytest.fail(added.text)
        answer = await it.ask("GET", "/devices/pump-7")
        words(answer, 429, "ThrottlingException")
        assert answer.headers["retry-after"] == "5"
        assert (await it.ask("GET", "/devices")).status_code == 200
        listed = (await it.ask("GET", "/keystead/faults", **control)).json()
        assert [one["struck"] for one in listed] == [1]
        number = listed[0]["id"]
        assert (await it.ask("DELETE", f"/keystead/faults/{number}", **control)).status_code == 204
        words(await it.ask("DELETE", f"/keystead/faults/{number}", **control), 404, "NotFound")
        words(await it.ask("DELETE", "/keystead/faults/x", **control), 404, "NotFound")
        assert (await it.ask("GET", "/devices/pump-7")).status_code == 200
        wrong = await it.ask("POST", "/keystead/faults", {"who": 5}, **control)
        assert words(wrong, 400, "ArgumentInvalid")
        assert (await it.ask("DELETE", "/keystead/faults", **control)).json() == []
