"""DPS for devices over HTTPS: the same answers as over MQTT, with HTTP's headers."""

import json
import re
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from host_tools.emulator.access import Reason
from host_tools.emulator.dps.events import Asked
from host_tools.emulator.dps.registrar import LARGEST
from host_tools.emulator.events import Assigned, Refused, Registering
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.rest import dps_device
from host_tools.keys import derive_device_key
from keystead import dps as device
from keystead.sas import sas_token
from tests.dps_bench import AT_ONCE, CONFIG, GROUP, HUB, KEYS, Bench
from tests.dps_rest import House, Rest, code

SCOPE = CONFIG.id_scope
GLOBAL = "global.azure-devices-provisioning.net"
OLD = "api-version=2019-03-31"


class Device:
    """A device that speaks HTTPS."""

    def __init__(self, bench, name="dev-1", key=b"", version=OLD):
        self.rest = Rest(house := House(bench.dps, bench.events.append), dps_device.routes(house))
        self.house = house
        key = key or derive_device_key(KEYS.primary, name)
        expiry = int(time.time()) + 3600
        self.token = sas_token(device.resource(SCOPE, name), key, expiry, "registration")
        self.path = f"/{SCOPE}/registrations/{name}"
        self._query = version

    def ask(self, method, path="", body=None, **headers):
        headers = {"authorization": self.token, "host": GLOBAL, **headers}
        return self.rest(method, self.path + path, body, self._query, **headers)

    def register(self, body=None, **headers):
        return self.ask("PUT", "/register", {} if body is None else body, **headers)

    def poll(self, operation):
        return self.ask("GET", f"/operations/{operation}")


@pytest.fixture
def make(tmp_path):
    benches = []

    def make(config=CONFIG, **how):
        benches.append(Bench(tmp_path / str(len(benches)), config, **how))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make):
    return make()


def test_a_device_registers_polls_and_is_assigned(bench):
    board = Device(bench)
    begun = board.register({"registrationId": "dev-1"})
    assert begun.status_code == 202
    operation = begun.json()["operationId"]
    assert begun.json() == {"operationId": operation, "status": "assigning"}
    headers = begun.headers
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["retry-after"] == "1"
    assert headers["location"] == f"https://{GLOBAL}/{SCOPE}/registrations/dev-1/register"
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers["x-ms-request-id"])
    waiting = board.poll(operation)
    assert (waiting.status_code, waiting.headers["retry-after"]) == (202, "1")
    assert waiting.json()["registrationState"]["status"] == "assigning"
    end = board.poll(operation)
    assert end.status_code == 200
    assert "retry-after" not in end.headers
    assert "location" not in end.headers
    state = end.json()["registrationState"]
    assert (state["assignedHub"], state["deviceId"]) == (HUB, "dev-1")
    assert state["symmetricKey"] == {"enrollmentGroupId": "mylegacydevices"}
    assert [type(one) for one in bench.events] == [Asked, Registering, Asked, Asked, Assigned]
    assert bench.events[0].api_version == "2019-03-31"


def test_an_operation_begun_over_https_may_be_polled_over_mqtt(bench):
    operation = Device(bench).register().json()["operationId"]
    assert bench.dps.registrar.poll(bench.connect().caller, operation, 0).status == 202


def test_an_earlier_assignment_is_looked_up(make):
    bench = make(AT_ONCE)
    board = Device(bench)
    assert code(board.ask("POST", body={"registrationId": "dev-1"})) == 404202
    state = board.register().json()["registrationState"]
    assert board.ask("POST", body={"registrationId": "dev-1"}).json() == state
    assert board.ask("POST", "/").json() == state


def test_a_newer_client_hears_that_its_hub_knew_it(make):
    bench = make(AT_ONCE)
    Device(bench).register()
    for version, substatus in (
        (OLD, "initialAssignment"),
        ("api-version=2021-10-01", "reprovisionedToInitialAssignment"),
    ):
        board = Device(bench, version=version)
        assert board.register().json()["registrationState"]["substatus"] == substatus
        assert board.ask("POST").json()["substatus"] == substatus


def test_the_advertised_name_is_handed_out(make):
    bench = make(AT_ONCE, advertise="localhost:18883")
    state = Device(bench).register().json()["registrationState"]
    assert state["assignedHub"] == "localhost:18883"


@pytest.mark.parametrize(
    ("how", "expected", "reason"),
    [
        ({"key": b"wrong" * 8}, 401002, Reason.WRONG_KEY),
        ({"key": KEYS.primary}, 401002, Reason.GROUP_KEY),
        ({"name": "dev.1."}, 400004, Reason.BAD_REGISTRATION_ID),
    ],
)
def test_who_may_not_come_in_is_answered_as_over_mqtt(bench, how, expected, reason):
    assert code(Device(bench, **how).register()) == expected
    assert isinstance(bench.events[-1], Refused)
    assert (bench.events[-1].reason, bench.events[-1].answer) == (reason, f"error {expected}")


def test_without_a_token_it_is_401_and_under_another_scope_404(bench):
    board = Device(bench)
    assert code(board.register(authorization="")) == 401002
    board.path = "/0ne99999999/registrations/dev-1"
    assert code(board.register()) == 404201
    board.path = f"/{SCOPE}/registrations/dev-2"
    assert code(board.register()) == 401002
    assert bench.events[-1].reason is Reason.WRONG_RESOURCE


def test_where_a_bad_token_is_refused_over_mqtt_does_not_matter(make):
    bench = make(replace(CONFIG, refuse_at="connect"))
    assert code(Device(bench, key=b"wrong" * 8).register()) == 401002


def test_a_disabled_enrollment_ends_with_status_disabled(make):
    bench = make(replace(CONFIG, groups=(replace(GROUP, enabled=False),)))
    answer = Device(bench).register()
    assert (answer.status_code, answer.json()["status"]) == (200, "disabled")
    looked_up = Device(bench).ask("POST").json()
    assert looked_up["status"] == "disabled"
    assert "assignedHub" not in looked_up


def test_an_unknown_operation_is_not_found(bench):
    assert code(Device(bench).poll("5.0.0")) == 404202


def test_addresses_ignore_case_and_encoding(make):
    bench = make(AT_ONCE)
    board = Device(bench, "dev:1")
    board.path = f"/{SCOPE.upper()}/Registrations/dev%3A1"
    assert board.register().status_code == 200
    assert board.ask("PUT", "/Register/", {}).status_code == 200


def test_the_content_encoding_of_the_services_own_example_does_no_harm(make):
    answer = Device(make(AT_ONCE)).register(content_encoding=" utf-8")
    assert answer.status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD"])
def test_a_method_that_is_not_for_an_address_gets_405(bench, method):
    assert Device(bench).ask(method, "/register").status_code == 405


@pytest.mark.parametrize("version", ["", "api-version=", "api-version=yesterday"])
def test_without_an_api_version_it_is_400(bench, version):
    assert code(Device(bench, version=version).register()) == 400004


def test_a_request_that_is_too_large_gets_413(bench):
    assert code(Device(bench).register({"payload": "x" * LARGEST})) == 413001


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"registrationId":"dev-2"}', b"\xff"])
def test_a_body_that_is_wrong_gets_400(bench, body):
    assert code(Device(bench).register(body)) == 400004


def test_the_throttles_are_the_same(make):
    bench = make(replace(CONFIG, throttle=True))
    board = Device(bench)
    operation = board.register().json()["operationId"]
    for _ in range(5):
        board.poll(operation)
    answer = board.poll(operation)
    assert code(answer) == 429001
    assert answer.headers["retry-after"] == "10"


def fault(board, **rule):
    board.house.faults.add(Rule.from_json(rule), 0)


def test_faults_befall_devices_with_the_codes_of_dps(bench):
    board = Device(bench)
    fault(board, gets="404", when="it registers", times=1)
    assert code(board.register()) == 404201
    fault(board, gets="429, retry after 7 s", when="it registers", times=1)
    assert board.register().headers["retry-after"] == "7"
    assert board.register().status_code == 202


def test_a_status_may_be_made_up(make):
    board = Device(make(AT_ONCE))
    operation = board.register().json()["operationId"]
    fault(board, gets="status failed", when="it asks again", times=1)
    answer = board.poll(operation)
    assert answer.status_code == 200
    assert answer.json()["operationId"] == operation
    assert answer.json()["registrationState"]["errorCode"] == 400207
    assert board.poll(operation).json()["status"] == "assigned"


requests = st.tuples(
    st.sampled_from(["PUT", "POST", "GET"]),
    st.sampled_from(["", "/register", "/operations/x", "/operations/%20"]),
    st.binary(max_size=100)
    | st.dictionaries(
        st.sampled_from(["registrationId", "payload", "tpm", "csr"]),
        st.recursive(st.none() | st.floats() | st.text(max_size=9), st.lists, max_leaves=5),
    ).map(lambda one: json.dumps(one).encode()),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")),
)


@settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(requests, st.booleans())
@example(("PUT", "/register", b'{"payload":"\\udc00"}', ""), True)
@example(("PUT", "/register", b'{"payload":' + b"[" * 999 + b"]" * 999 + b"}", ""), True)
def test_any_request_gets_an_answer_of_the_services(bench, asked, known):
    method, path, body, authorization = asked
    board = Device(bench)
    headers = {} if known else {"authorization": authorization.encode("latin-1")}
    answer = board.ask(method, path, body, content_type="application/json", **headers)
    assert answer.status_code in (200, 202, 400, 401, 404, 405)
    if answer.status_code >= 400:
        code(answer)
