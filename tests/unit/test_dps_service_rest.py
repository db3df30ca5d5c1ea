"""The DPS service's REST API, as programs use it, and as nobody should."""

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from host_tools.emulator.access import Reason
from host_tools.emulator.dps import documents
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Failed, Refused
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.rest import dps_service
from tests.dps_bench import AT_ONCE, HUB, KEYS, OTHER, Bench
from tests.dps_rest import HOST, House, Rest, code, text

SYMMETRIC = {"type": "symmetricKey"}
WITH_KEYS = {
    "type": "symmetricKey",
    "symmetricKey": {"primaryKey": text(b"p" * 64), "secondaryKey": text(b"s" * 32)},
}
NODE = {"registrationId": "first", "attestation": SYMMETRIC, "provisioningStatus": "enabled"}


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, replace(AT_ONCE, groups=(), individuals=()))
    yield bench
    bench.close()


@pytest.fixture
def house(bench):
    return House(bench.dps, bench.events.append)


@pytest.fixture
def rest(house):
    return Rest(house, dps_service.routes(house))


def put(rest, name, kind="enrollments", **fields):
    return rest("PUT", f"/{kind}/{name}", {"attestation": SYMMETRIC, **fields})


def test_an_individual_enrollment_is_made_with_keys_that_are_shown_once(rest, bench):
    made = rest("PUT", "/enrollments/first", NODE)
    document = made.json()
    keys = document.pop("attestation")["symmetricKey"]
    assert {len(base64.b64decode(key)) for key in keys.values()} == {64}
    assert made.headers["etag"] == f'"{document["etag"]}"'
    assert base64.b64decode(document.pop("etag"))[:1] == b'"'
    created, updated = document.pop("createdDateTimeUtc"), document.pop("lastUpdatedDateTimeUtc")
    assert created == updated
    assert document == {
        "registrationId": "first",
        "capabilities": {"iotEdge": False},
        "provisioningStatus": "enabled",
        "reprovisionPolicy": {"updateHubAssignment": True, "migrateDeviceData": True},
        "allocationPolicy": "hashed",
    }
    read = rest("GET", "/enrollments/First")
    assert read.json()["attestation"] == SYMMETRIC
    assert read.json()["registrationState"] == {"registrationId": "first", "status": "unassigned"}
    mechanism = rest("POST", "/enrollments/first/attestationmechanism")
    assert mechanism.json() == {"type": "symmetricKey", "symmetricKey": keys}
    assert text(bench.dps.individual("first").keys.primary) == keys["primaryKey"]


def test_all_that_an_enrollment_may_say_comes_back(rest):
    whole = {
        "deviceId": "pump-7",
        "attestation": WITH_KEYS,
        "capabilities": {"iotEdge": True},
        "initialTwin": {"tags": {"a": 1}, "properties": {"desired": {"b": {"c": None}}}},
        "provisioningStatus": "disabled",
        "reprovisionPolicy": {"updateHubAssignment": True, "migrateDeviceData": False},
        "allocationPolicy": "custom",
        "iotHubs": [HUB],
        "customAllocationDefinition": {
            "webhookUrl": "https://x.example/",
            "apiVersion": "2019-03-31",
        },
        "optionalDeviceInformation": {"owner": "me"},
    }
    made = rest("PUT", "/enrollments/first", {"registrationId": "FIRST", **whole})
    assert made.status_code == 200
    assert whole.items() <= made.json().items()


def test_nulls_are_taken_for_what_is_left_out(rest):
    fields = ["allocationPolicy", "capabilities", "reprovisionPolicy", "provisioningStatus",
              "customAllocationDefinition", "deviceId", "optionalDeviceInformation", "iotHubs",
              "iotHubHostName", "initialTwin"]  # fmt: skip
    keys = {"primaryKey": None, "secondaryKey": None}
    body = dict.fromkeys(fields)
    attestation = {"type": "symmetricKey", "symmetricKey": keys, "x509": None, "tpm": None}
    made = put(rest, "first", attestation=attestation, **body)
    assert made.status_code == 200


def test_a_group_is_made_changed_and_deleted(rest, bench):
    made = rest("PUT", "/enrollmentGroups/fleet", {"attestation": WITH_KEYS})
    assert made.json()["enrollmentGroupId"] == "fleet"
    etag = made.json()["etag"]
    again = rest("PUT", "/enrollmentgroups/fleet/", {"attestation": SYMMETRIC})
    assert code(again) == 409202
    changed = {"attestation": SYMMETRIC, "provisioningStatus": "disabled"}
    assert code(rest("PUT", "/enrollmentGroups/fleet", changed, if_match="b2xk")) == 412001
    assert rest("PUT", "/enrollmentGroups/fleet", changed, if_match=etag).status_code == 200
    group = bench.dps.group("fleet")
    assert (group.enabled, group.keys.primary) == (False, b"p" * 64)
    assert code(rest("DELETE", "/enrollmentGroups/fleet", if_match=etag)) == 412001
    gone = rest("DELETE", "/enrollmentGroups/fleet", if_match=f'"{group.etag}"')
    assert (gone.status_code, gone.content) == (204, b"")
    assert code(rest("GET", "/enrollmentGroups/fleet")) == 404201


@pytest.mark.parametrize(
    "path",
    ["/ENROLLMENTS/first", "/Enrollments/first/", "/enrollments/FIRST"],
)
def test_addresses_ignore_case_and_a_slash_at_the_end(rest, path):
    put(rest, "first")
    assert rest("GET", path).json()["registrationId"] == "first"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/enrollments/first"),
        ("POST", "/enrollments/first"),
        ("GET", "/enrollments"),
        ("GET", "/enrollments/first/attestationmechanism"),
        ("PUT", "/registrations/first"),
        ("GET", "/registrations/fleet/query"),
        ("OPTIONS", "/enrollments/first"),
    ],
)
def test_a_method_that_is_not_for_an_address_gets_405(rest, method, path):
    assert code(rest(method, path)) == 405000


@pytest.mark.parametrize(
    "fields",
    [
        {"attestation": None},
        {"attestation": "symmetricKey"},
        {"attestation": {"type": "tpm", "tpm": {"endorsementKey": "x"}}},
        {"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "not Base64"}}},
        {"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": text(b"short")}}},
        {"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": 7}}},
        {"registrationId": "second"},
        {"registrationId": 7},
        {"deviceId": "a/b"},
        {"provisioningStatus": "maybe"},
        {"allocationPolicy": "random"},
        {"allocationPolicy": "custom"},
        {"allocationPolicy": "custom", "customAllocationDefinition": {"webhookUrl": "x"}},
        {"iotHubs": [HUB]},
        {"allocationPolicy": "hashed", "iotHubs": ["elsewhere.example"]},
        {"allocationPolicy": "static", "iotHubs": [HUB, OTHER]},
        {"allocationPolicy": "hashed", "iotHubs": HUB},
        {"iotHubHostName": "elsewhere.example"},
        {"reprovisionPolicy": {"updateHubAssignment": "yes"}},
        {"capabilities": []},
        {"initialTwin": 7},
        {"initialTwin": {"tags": []}},
        {"initialTwin": {"tags": {"a.b": 1}}},
        {"initialTwin": {"properties": {"desired": "x"}}},
    ],
)
def test_what_dps_can_not_take_gets_400_and_words(rest, bench, fields):
    assert code(put(rest, "first", **fields)) == 400004
    assert bench.dps.individuals() == []


def test_a_key_does_not_show_in_a_complaint(rest):
    keys = {"primaryKey": text(b"secret")}
    answer = put(rest, "first", attestation={"type": "symmetricKey", "symmetricKey": keys})
    assert code(answer) == 400004
    assert text(b"secret") not in answer.text


def test_the_older_name_of_the_one_hub_is_understood(rest):
    made = put(rest, "first", iotHubHostName=HUB).json()
    assert (made["allocationPolicy"], made["iotHubs"]) == ("static", [HUB])
    assert made["iotHubHostName"] == HUB


def test_a_name_may_have_all_characters_that_the_service_takes(rest):
    name = "Dev_1.a:b-"
    assert put(rest, "Dev_1.a%3Ab-").json()["registrationId"] == name
    assert code(put(rest, "dev%201")) == 400004
    assert code(put(rest, "dev.")) == 400004


def test_a_list_comes_page_by_page(rest):
    for number in range(5):
        put(rest, f"dev-{number}")
    seen, headers = [], {"x_ms_max_item_count": "2"}
    while True:
        page = rest(
            "POST", "/enrollments/query", {"query": "SELECT * FROM enrollments"}, **headers
        )
        assert page.headers["x-ms-item-type"] == "Enrollment"
        seen.append([one["registrationId"] for one in page.json()])
        assert "symmetricKey" not in page.text.replace('"type":"symmetricKey"', "")
        if "x-ms-continuation" not in page.headers:
            break
        headers["x_ms_continuation"] = page.headers["x-ms-continuation"]
    assert seen == [["dev-0", "dev-1"], ["dev-2", "dev-3"], ["dev-4"]]


@pytest.mark.parametrize(
    "body", [None, b"", {}, {"query": "*"}, {"query": "select *"}, {"query": "SELECT * FROM x"}]
)
def test_a_query_lists_all(rest, body):
    put(rest, "fleet", "enrollmentGroups")
    page = rest("POST", "/enrollmentGroups/Query", body)
    assert [one["enrollmentGroupId"] for one in page.json()] == ["fleet"]
    assert page.headers["x-ms-item-type"] == "EnrollmentGroup"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"query": "SELECT * FROM enrollments WHERE a = 1"}, {}),
        ({"query": 7}, {}),
        ({"query": " " * 1_000_000 + "x"}, {}),  # which is read in one go
        ([], {}),
        ({}, {"x_ms_max_item_count": "0"}),
        ({}, {"x_ms_max_item_count": "-1"}),
        ({}, {"x_ms_max_item_count": "many"}),
        ({}, {"x_ms_continuation": "?"}),
        ({}, {"x_ms_continuation": "gIA="}),
    ],
)
def test_a_query_that_is_none_gets_400(rest, body, headers):
    assert code(rest("POST", "/enrollments/query", body, **headers)) == 400004


def bulk(rest, mode, *names, **more):
    items = [{"registrationId": name, "attestation": SYMMETRIC, **more} for name in names]
    return rest("POST", "/enrollments/", {"enrollments": items, "mode": mode})


def test_ten_may_be_made_and_deleted_at_once(rest, bench):
    names = [f"dev-{number}" for number in range(10)]
    assert bulk(rest, "create", *names).json() == {"errors": [], "isSuccessful": True}
    assert len(bench.dps.individuals()) == 10
    assert bulk(rest, "delete", *names).json()["isSuccessful"]
    assert bench.dps.individuals() == []
    assert code(bulk(rest, "create", *names, "dev-10")) == 400004


def test_what_can_not_be_done_of_many_is_named(rest, bench):
    put(rest, "old")
    answer = bulk(rest, "create", "old", "a b", "new")
    assert answer.status_code == 200
    assert answer.json()["isSuccessful"] is False
    errors = {one["registrationId"]: one["errorCode"] for one in answer.json()["errors"]}
    assert errors == {"old": 409201, "a b": 400004}
    assert answer.json()["errors"][0]["errorStatus"] == "Enrollment already exists."
    assert bench.dps.individual("new")


def test_many_are_updated_by_who_knows_their_etags(rest, bench):
    etag = put(rest, "old").json()["etag"]
    (error,) = bulk(rest, "update", "old").json()["errors"]
    assert error["errorCode"] == 409201, "as the service was seen to do"
    (error,) = bulk(rest, "update", "nobody", etag=etag).json()["errors"]
    assert error["errorCode"] == 404201
    (error,) = bulk(rest, "updateIfMatchETag", "old").json()["errors"]
    assert error["errorCode"] == 400004
    (error,) = bulk(rest, "updateIfMatchETag", "old", etag="b2xk").json()["errors"]
    assert error["errorCode"] == 412001
    more = {"provisioningStatus": "disabled", "etag": etag}
    assert bulk(rest, "updateIfMatchETag", "old", **more).json()["isSuccessful"]
    assert not bench.dps.individual("old").enabled


def test_groups_may_be_changed_many_at_once_too(rest, bench):
    items = [{"enrollmentGroupId": name, "attestation": SYMMETRIC} for name in ("a", "b")]
    body = {"enrollmentGroups": items, "mode": "create"}
    assert rest("POST", "/enrollmentGroups", body).json()["isSuccessful"]
    assert [one.name for one in bench.dps.groups()] == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"mode": "create"},
        {"mode": "create", "enrollments": []},
        {"mode": "create", "enrollments": [7]},
        {"mode": "create", "enrollments": [{}]},
        {"mode": "create", "enrollments": {}},
        {"mode": "replace", "enrollments": [NODE]},
        {"enrollments": [NODE]},
    ],
)
def test_a_bulk_operation_that_is_none_gets_400(rest, body):
    assert code(rest("POST", "/enrollments", body)) == 400004


def test_one_twice_in_a_bulk_operation_gets_400(rest):
    assert code(bulk(rest, "create", "Dev", "dev")) == 400206


def test_registration_records_are_read_listed_and_deleted(rest, bench):
    put(rest, "fleet", "enrollmentGroups", attestation=WITH_KEYS)
    group = bench.dps.group("fleet")
    assert rest("POST", "/registrations/fleet/query").json() == []
    bench.state(key=group.keys.derived_for("dev-1").primary)
    record = rest("GET", "/registrations/DEV-1")
    etag = record.json()["etag"]
    assert record.headers["etag"] == f'"{etag}"'
    assert record.json() == {
        "registrationId": "dev-1",
        "createdDateTimeUtc": "2022-08-31T22:02:50.5163350Z",
        "assignedHub": HUB,
        "deviceId": "dev-1",
        "status": "assigned",
        "substatus": "initialAssignment",
        "lastUpdatedDateTimeUtc": "2022-08-31T22:02:50.5163350Z",
        "etag": etag,
    }
    page = rest("POST", "/registrations/Fleet/query", {"query": "*"})
    assert page.headers["x-ms-item-type"] == "DeviceRegistration"
    assert page.json() == [record.json()]
    assert code(rest("DELETE", "/registrations/dev-1", if_match="b2xk")) == 412001
    assert rest("DELETE", "/registrations/dev-1", if_match=etag).status_code == 204
    assert code(rest("GET", "/registrations/dev-1")) == 404202


def test_an_individual_shows_the_state_of_its_registration(rest, bench):
    put(rest, "bench-1", attestation=WITH_KEYS, deviceId="pump-7")
    bench.state("bench-1", KEYS.primary)
    state = rest("GET", "/enrollments/bench-1").json()["registrationState"]
    assert (state["status"], state["deviceId"]) == ("assigned", "pump-7")


# who may


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"authorization": ""}, Reason.NO_TOKEN),
        ({"authorization": "Bearer x"}, Reason.MALFORMED),
        ({"policy": "nobody"}, Reason.UNKNOWN_POLICY),
        ({"policy": ""}, Reason.UNKNOWN_POLICY),
        ({"key": b"wrong" * 8}, Reason.WRONG_KEY),
        ({"resource": "other.azure-devices-provisioning.net"}, Reason.WRONG_RESOURCE),
        ({"resource": f"{HOST}/enrollments"}, Reason.WRONG_RESOURCE),
    ],
)
def test_who_has_no_right_is_refused_and_the_operator_hears_why(rest, bench, how, reason):
    authorization = how.get("authorization")
    token = rest.token(**how) if authorization is None else authorization
    assert code(rest("GET", "/enrollments/first", authorization=token)) == 401002
    refused = bench.events[-1]
    assert isinstance(refused, Refused)
    assert (refused.service, refused.reason) == ("DPS", reason)
    assert rest.token() not in str(bench.events)


@pytest.mark.parametrize("host", [HOST.upper(), "localhost:8443", "localhost", "127.0.0.1:443"])
def test_the_service_goes_by_the_name_it_was_found_by(rest, host):
    token = rest.token(host.lower())
    assert rest("GET", "/enrollments/no", authorization=token, host=host).status_code == 404


def test_a_connection_string_is_made_for_programs(bench):
    text = bench.dps.policies.connection_string(HOST, "provisioningserviceowner")
    assert text.startswith(f"HostName={HOST};SharedAccessKeyName=provisioningserviceowner;")


@pytest.mark.parametrize("query", ["", "api-version=", "api-version=new", "version=2021-10-01"])
def test_a_request_without_an_api_version_gets_400(rest, query):
    assert code(rest("GET", "/enrollments/first", query=query)) == 400004


def test_a_body_that_is_not_json_by_its_type_gets_415(rest):
    assert code(rest("PUT", "/enrollments/first", b"{}", content_type="text/plain")) == 415000
    charset = {"content_type": "application/json; charset=utf-8"}
    assert (
        rest("PUT", "/enrollments/first", json.dumps(NODE).encode(), **charset).status_code == 200
    )


def test_a_full_disk_is_told_to_the_operator(rest, bench):
    bench.database.execute("PRAGMA max_page_count = 1")  # no more than there are
    information = {"text": "x" * 9000}
    for number in range(100):
        answer = put(rest, f"dev-{number}", optionalDeviceInformation=information)
        if answer.status_code != 200:
            break
    assert code(answer) == 500001
    assert isinstance(bench.events[-1], Failed)
    assert "disk is full" in bench.events[-1].why
    bench.database.execute("PRAGMA max_page_count = 1000000")
    assert put(rest, f"dev-{number}").status_code == 200


def test_faults_befall_programs_too(rest, house, bench):
    rule = {"gets": "429", "when": "a program calls the service API", "times": 1}
    house.faults.add(Rule.from_json(rule), 0)
    answer = rest("GET", "/enrollments/first")
    assert code(answer) == 429001
    assert answer.headers["retry-after"] == "3"


# whatever comes

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["registrationId", "enrollmentGroupId", "deviceId", "attestation", "type", "tags",
             "symmetricKey", "primaryKey", "capabilities", "iotEdge", "initialTwin", "properties",
             "desired", "iotHubs", "allocationPolicy", "reprovisionPolicy", "enrollments", "mode",
             "customAllocationDefinition", "webhookUrl", "query", "optionalDeviceInformation"]
        )
        | st.text(max_size=5),
        inner,
        max_size=4,
    ),
)  # fmt: skip
words = st.sampled_from(["symmetricKey", "custom", "static", "create", "delete", HUB, "http://x/"])
body = st.binary(max_size=200) | (anything | words).map(lambda one: json.dumps(one).encode())
requests = st.tuples(
    st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    st.sampled_from(
        ["/enrollments", "/enrollments/a", "/enrollments/query", "/enrollmentGroups/a",
         "/enrollmentGroups/", "/registrations/a", "/registrations/a/query", "/enrollments/%ff",
         "/enrollments/a/attestationmechanism", "/enrollments/%20", "/enrollments/a%00"]
    ),
    body,
    st.sampled_from(["", "*", '"x"', ",", "W/"]),
)  # fmt: skip


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(requests)
@example(("PUT", "/enrollments/a", b'{"attestation":' + b"[" * 3000 + b"]" * 3000 + b"}", "*"))
@example(("PUT", "/enrollments/a", b'{"deviceId":"\\ud800","attestation":{}}', ""))
def test_any_request_gets_an_answer_of_the_services(rest, asked):
    method, path, sent, if_match = asked
    answer = rest(method, path, sent, if_match=if_match, content_type="application/json")
    assert answer.status_code in (200, 204, 400, 404, 405, 409, 412, 413)
    if answer.status_code >= 400 and "json" in answer.headers["content-type"]:
        code(answer)


@settings(deadline=None)
@given(anything)
def test_any_document_is_an_enrollment_or_a_mistake_with_words(written):
    for read in documents.BY_KIND.values():
        try:
            one = read(written, "a")
        except ServiceError as error:
            assert error.code == 400004
        else:
            assert read(documents.document(one, show_keys=all(one.keys)), "a") == one
