"""Shared access policies: whose token may do what at a service."""

import os

import pytest

from host_tools.emulator.access import AccessDenied, Reason, Token
from host_tools.emulator.host_names import HostNames
from host_tools.emulator.policies import (
    DEVICE_CONNECT,
    ENROLLMENT_READ,
    OF_DPS,
    OF_HUB,
    REGISTRY_READ,
    REGISTRY_WRITE,
    SERVICE_CONNECT,
    STATUS_WRITE,
    Policies,
)
from host_tools.emulator.store.database import Database
from host_tools.keys import decode_key
from keystead.sas import sas_token

NOW = 1_700_000_000.0
HOST = "test-docs-hub.azure-devices.net"
HOSTS = HostNames(HOST, "localhost")
RIGHTS = [REGISTRY_READ, REGISTRY_WRITE, SERVICE_CONNECT, DEVICE_CONNECT]


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def policies(database):
    return Policies(HOST, OF_HUB, database, os.urandom)


def token(policies, name="iothubowner", uri=HOST, key=None, expiry=int(NOW) + 60):
    key = key or policies.keys(name).primary
    return Token.parse(sas_token(uri, key, expiry, name).encode())


def why(policies, signed, hosts=HOSTS, right=REGISTRY_READ, now=NOW, **how):
    with pytest.raises(AccessDenied) as denied:
        policies.check(signed, hosts, right, now, **how)
    return denied.value.reason


@pytest.mark.parametrize(
    ("name", "rights"),
    [
        ("iothubowner", RIGHTS),
        ("service", [SERVICE_CONNECT]),
        ("device", [DEVICE_CONNECT]),
        ("registryRead", [REGISTRY_READ]),
        ("registryReadWrite", [REGISTRY_READ, REGISTRY_WRITE]),
    ],
)
def test_a_policy_allows_what_it_has_the_right_to_and_nothing_else(policies, name, rights):
    for right in RIGHTS:
        if right in rights:
            policies.check(token(policies, name), HOSTS, right, NOW)
        else:
            assert why(policies, token(policies, name), right=right) is Reason.NO_RIGHT


def test_dps_has_one_owner(database):
    policies = Policies("0ne00002193", OF_DPS, database, os.urandom)
    signed = token(policies, "provisioningserviceowner")
    for right in (ENROLLMENT_READ, STATUS_WRITE):
        policies.check(signed, HOSTS, right, NOW)
    assert why(policies, signed, right=REGISTRY_READ) is Reason.NO_RIGHT


def test_either_key_will_do(policies):
    for key in policies.keys("service"):
        policies.check(token(policies, "service", key=key), HOSTS, SERVICE_CONNECT, NOW)


@pytest.mark.parametrize(
    "uri", [HOST, HOST.upper(), f"{HOST}:8443", "localhost", "localhost:8443"]
)
def test_a_host_may_be_spelled_in_several_ways(policies, uri):
    policies.check(token(policies, uri=uri), HOSTS, REGISTRY_READ, NOW)


@pytest.mark.parametrize("uri", ["", "other", f"{HOST}/devices/dev-1", f"{HOST}:x", ":1"])
def test_another_resource_is_refused(policies, uri):
    expected = Reason.WRONG_RESOURCE if uri else Reason.NO_RESOURCE
    try:
        signed = token(policies, uri=uri)
    except AccessDenied as denied:
        assert denied.reason is expected
    else:
        assert why(policies, signed) is expected


def test_a_token_may_be_for_less_than_the_whole_service(policies):
    signed = token(policies, "device", f"{HOST}/devices")
    policies.check(signed, HOSTS, DEVICE_CONNECT, NOW, path=("devices", "dev-1"))
    other = token(policies, "device", f"{HOST}/devices/dev-2")
    path = ("devices", "dev-1")
    assert why(policies, other, right=DEVICE_CONNECT, path=path) is Reason.WRONG_RESOURCE


def test_the_reasons(policies):
    key = policies.keys("service").primary
    assert why(policies, token(policies), now=NOW + 60) is Reason.EXPIRED
    assert why(policies, token(policies, key=b"x" * 32)) is Reason.WRONG_KEY
    assert why(policies, token(policies, key=key)) is Reason.WRONG_KEY
    assert why(policies, token(policies, "nobody", key=key)) is Reason.UNKNOWN_POLICY
    assert why(policies, token(policies, "", key=key)) is Reason.UNKNOWN_POLICY


def test_the_keys_base64_text_is_named_as_the_mistake(policies):
    text = policies.connection_string(HOST).rpartition("SharedAccessKey=")[2]
    assert why(policies, token(policies, key=text.encode())) is Reason.UNDECODED_KEY


def test_a_service_knows_its_own_tokens_under_any_name_and_time(policies, database):
    other = Policies("other-hub", OF_HUB, database, os.urandom)
    signed = token(policies, uri="anywhere", expiry=1)
    assert policies.knows(signed)
    assert not other.knows(signed)
    assert not policies.knows(token(policies, "nobody", key=policies.keys("device").primary))


def test_keys_are_made_once_for_each_service_and_policy(database, policies):
    again = Policies(HOST.upper(), OF_HUB, database, os.urandom)
    other = Policies("other-hub", OF_HUB, database, os.urandom)
    keys = {key for name in OF_HUB for key in policies.keys(name)}
    assert len(keys) == 2 * len(OF_HUB)
    for name in OF_HUB:
        assert again.keys(name) == policies.keys(name)
        assert not keys & set(other.keys(name))


def test_a_connection_string_is_the_owners_unless_another_is_asked_for(policies):
    host, name, key = policies.connection_string("localhost:8443").split(";")
    assert (host, name) == ("HostName=localhost:8443", "SharedAccessKeyName=iothubowner")
    key = decode_key(key.partition("=")[2], "it")
    policies.check(token(policies, key=key), HOSTS, REGISTRY_WRITE, NOW)
    assert ";SharedAccessKeyName=service;" in policies.connection_string("localhost", "service")
    with pytest.raises(KeyError):
        policies.connection_string("localhost", "nobody")


def test_no_key_shows(policies):
    assert repr(policies) == f"Policies({', '.join(OF_HUB)})"
    assert repr(policies.keys("service")) == "KeyPair()"
