"""Faults as unmodified clients meet them: Azure's Python SDK by the outcome matrix, and paho."""

import queue
import ssl
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from host_tools.emulator.events import Telemetry
from host_tools.emulator.faults.faults import Struck
from host_tools.keys import derive_device_key
from tests.emulator.cloud_fixtures import LIMIT, awaited, port_8883
from tests.emulator.faults_fixtures import (
    GROUP_KEY,
    Bench,
    connect_to_hub,
    provision,
    served,
)
from tests.emulator.test_azure_sdk import do, register

KEY = derive_device_key(GROUP_KEY, "dev-1")
ASSIGNED = {"status": "assigned"}
REFUSED = {"error": "ClientError", "cause": "ServiceError"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture
def on_8883(directory: Path) -> Iterator[Bench]:
    with port_8883(), served(directory, 8883, "localhost") as bench:
        yield bench


# protocol.md 5.2, the Python column
@pytest.mark.parametrize(
    ("when", "gets", "times", "outcome"),
    [
        ("it registers", "no retry-after", 1, ASSIGNED),
        ("it registers", "QoS 0", 1, ASSIGNED),
        ("it connects", "session present", 1, ASSIGNED),
        ("it subscribes", "SUBACK 128", 1, ASSIGNED),
        ("it registers", "401", 1, REFUSED),
        ("it registers", "404", 1, REFUSED),
        ("it asks again", "404", 1, REFUSED),
        ("it registers", "429, retry after 1 s", 2, ASSIGNED),
        ("it asks again", "503, retry after 1 s", 2, ASSIGNED),
        ("it registers", "429 with an empty body, retry after 1 s", 1, ASSIGNED),
        ("it registers", "status failed with 400208", 1, REFUSED),
        ("it asks again", "status disabled", 1, REFUSED),
        ("it registers", "status unassigned", 1, REFUSED),
        ("it connects", "CONNACK 2", 1, {"error": "ClientError"}),
        ("it connects", "CONNACK 3", 1, {"error": "ConnectionFailedError"}),
        ("it connects", "CONNACK 4", 1, {"error": "CredentialError"}),
        ("it connects", "CONNACK 5", 1, {"error": "CredentialError"}),
        ("it shakes hands", "TLS 1.3 only", 1, {"error": "ConnectionFailedError"}),
        ("it shakes hands", "a certificate of an unknown CA", 1, {"error": "ClientError"}),
    ],
)
def test_azures_sdk_by_the_outcome_matrix(on_8883, directory, when, gets, times, outcome):
    on_8883.rules({"when": when, "gets": gets, "times": times})

    @awaited
    async def story() -> None:
        said = await register(directory, "dev-1", KEY)
        assert outcome.items() <= said.items(), said

    story()
    struck = [event for event in on_8883.events if isinstance(event, Struck)]
    assert [event.gets for event in struck] == [gets] * times


def test_azures_sdk_does_not_give_up_the_right_version_for_long(on_8883, directory):
    # paho, which it stands on, takes return code 1 for a hint and tries again with MQTT 3.1
    on_8883.rules("dev-1, when it connects, gets CONNACK 1, once")

    @awaited
    async def story() -> None:
        assert "error" in await register(directory, "dev-1", KEY)
        assert ASSIGNED.items() <= (await register(directory, "dev-1", KEY)).items()

    story()


def test_azures_sdk_sends_again_what_was_not_acknowledged(on_8883, directory):
    provision(on_8883, "dev-1")
    on_8883.rules("dev-1, when it connects to its hub, gets its answer 1 s late, once")

    @awaited
    async def story() -> None:
        assert await do(directory, "send", KEY, device_id="dev-1", hub="localhost") == {}

    story()
    on_8883.event(Telemetry, device_id="dev-1")


class Paho:
    """A paho client in its own thread, and what it was told."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.told: queue.Queue = queue.Queue()
        connect = connect_to_hub(name)
        self._client = paho.Client(name, clean_session=False)
        self._client.username_pw_set(connect.username, connect.password.decode())
        self._client.tls_set_context(ssl.create_default_context(cadata=bench.cloud.ca_der))
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda _, __, ___, code: self.told.put(("connected", code))
        self._client.on_disconnect = lambda _, __, code: self.told.put(("disconnected", code != 0))
        self._client.on_publish = lambda _, __, number: self.told.put(("published", number))
        self._client.connect("localhost", bench.port)

    def __enter__(self) -> "Paho":
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        # paho leaves its pair of sockets to the collector
        self._client._reset_sockets()
        for end in (self._client._sockpairR, self._client._sockpairW):
            if end:
                end.close()

    def publish(self, body: bytes) -> None:
        self._client.publish("devices/dev-1/messages/events/", body, 1)

    def hear(self) -> tuple:
        return self.told.get(timeout=LIMIT)


@pytest.fixture
def bench(directory: Path) -> Iterator[Bench]:
    with served(directory) as bench:
        provision(bench, "dev-1")
        yield bench


def test_paho_is_refused_and_comes_again(bench):
    bench.rules("dev-1, when it connects, gets CONNACK 3, once")
    with Paho(bench, "dev-1") as client:
        told = [client.hear()]
        while told[-1] != ("connected", 0):
            told.append(client.hear())
        assert told[0] == ("connected", 3)


@pytest.mark.parametrize(
    "gets",
    ["a dropped socket", "a closed connection", "a malformed packet", "half a packet",
     "an expired token", "503"],
)  # fmt: skip
def test_paho_reconnects_and_its_message_arrives(bench, gets):
    bench.rules(f"dev-1, when it sends telemetry, gets {gets}, once")
    with Paho(bench, "dev-1") as client:
        assert client.hear() == ("connected", 0)
        client.publish(gets.encode())
        told = []
        while "published" not in [kind for kind, _ in told]:
            told.append(client.hear())
        assert told[0] == ("disconnected", True)
    bench.event(Telemetry, body=gets.encode())
    bench.event(Struck, gets=gets)


def test_nobody_but_the_one_meant_is_struck(bench):
    provision(bench, "dev-2")
    bench.rules("dev-1, when it connects, gets CONNACK 5")
    with Paho(bench, "dev-1") as struck, Paho(bench, "dev-2") as other:
        assert other.hear() == ("connected", 0)
        assert struck.hear() == ("connected", 5)
