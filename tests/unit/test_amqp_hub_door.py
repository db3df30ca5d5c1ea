"""Real hubs behind AMQP's door: whose token opens which hub, and what goes through."""

import random

import pytest
from amqp_line import NOW, Line, conditions, credit, hello, put, receiver, sender

from host_tools.emulator.access import AccessDenied, Reason
from host_tools.emulator.amqp import errors
from host_tools.emulator.amqp.door import Principal
from host_tools.emulator.amqp.hub_door import HubDoor
from host_tools.emulator.amqp.messaging import Accepted
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Dropped, Refused
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.hub.messages import CloudMessage, Feedback, Outcome
from host_tools.emulator.store.database import Database
from keystead.sas import sas_token

HUB, OTHER = "test-docs-hub.azure-devices.net", "other-hub.azure-devices.net"


class Bench:
    """Two hubs and the door to them."""

    def __init__(self, directory):
        self.database = Database(directory)
        self.events = []
        self.hubs = Hubs(
            [HUB, OTHER], self.database, self.events.append, random=random.Random(7).randbytes
        )
        self.hub, self.other = self.hubs.hub(HUB), self.hubs.hub(OTHER)
        self.hub.create("dev-1", NOW)
        self.events.clear()
        self.door = HubDoor(self.hubs, self.events.append)

    def token(self, resource=HUB, policy="service", hub=None, expiry=3600):
        key = (hub or self.hub).policies.keys(policy).primary
        return f"{sas_token(resource, key, int(NOW) + expiry)}&skn={policy}".encode()

    def enter(self, host=HUB, **about):
        return self.door.authenticate(self.token(**about), host, NOW)

    def feedback(self, *message_ids):
        """Messages that asked for feedback were purged."""
        for message_id in message_ids:
            self.hub.send("dev-1", CloudMessage(b"", message_id, ack="full"), NOW)
        self.hub.purge("dev-1", NOW)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.database.close()


@pytest.mark.parametrize("policy", ["service", "iothubowner"])
@pytest.mark.parametrize(
    ("resource", "host"),
    [
        (HUB, HUB),
        (HUB.upper(), HUB),
        ("localhost:8443", "localhost"),
        ("localhost", "localhost:8443"),
        (HUB, "test-docs-hub"),
        (HUB, ""),
    ],
)
def test_a_token_opens_the_hub_by_the_name_it_was_dialled(bench, resource, host, policy):
    principal = bench.enter(host, resource=resource, policy=policy)
    assert principal == Principal(HUB, policy, NOW + 3600)
    assert bench.events == []


def test_an_alias_stands_for_the_hub_whose_key_signed(bench):
    assert bench.enter("localhost", resource="localhost", hub=bench.other).hub == OTHER


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"hub": "other"}, Reason.WRONG_KEY),
        ({"resource": OTHER}, Reason.WRONG_RESOURCE),
        ({"expiry": 0}, Reason.EXPIRED),
        ({"policy": "device"}, Reason.NO_RIGHT),
        ({"policy": "registryReadWrite"}, Reason.NO_RIGHT),
    ],
    ids=str,
)
def test_who_is_refused_is_an_event(bench, about, reason):
    if "hub" in about:
        about = {"hub": bench.other}
    with pytest.raises(AccessDenied) as caught:
        bench.enter(**about)
    assert caught.value.reason is reason
    policy = about.get("policy", "service")
    assert bench.events == [Refused(NOW, HUB, f"policy {policy}", reason, "AMQP 401")]


def test_what_is_no_token_is_an_event_too(bench):
    with pytest.raises(AccessDenied):
        bench.door.authenticate(b"Bearer abc", HUB, NOW)
    (event,) = bench.events
    assert (event.service, event.device_id) == ("IoT Hub", "a service client")


def test_a_cloud_without_hubs_lets_nobody_in(bench):
    door = HubDoor(Hubs([], bench.database, bench.events.append), bench.events.append)
    with pytest.raises(AccessDenied):
        door.authenticate(bench.token(), HUB, NOW)
    assert bench.events[0].reason is Reason.UNKNOWN_HUB


def test_a_message_waits_for_its_device(bench):
    bench.door.send(bench.enter(), "dev-1", CloudMessage(b"hello"), NOW)
    assert bench.hub.pending("dev-1") == 1
    with pytest.raises(ServiceError) as caught:
        bench.door.send(bench.enter(), "nobody", CloudMessage(b"hello"), NOW)
    assert caught.value.status == 404


def test_feedback_is_heard_once_and_what_is_given_back_comes_first(bench):
    bench.feedback("m1", "m2", "m3")
    reader, second = (bench.door.feedback(bench.enter()) for _ in range(2))
    first = reader.take(2)
    assert [record.message_id for record in first] == ["m1", "m2"]
    reader.back(first)
    assert [record.message_id for record in second.take(1)] == ["m1"]
    assert [record.message_id for record in second.take(9)] == ["m2"]
    assert [record.message_id for record in reader.take(9)] == ["m3"]
    assert reader.take(9) == []


def test_only_a_connection_that_never_got_in_is_told_of(bench):
    bench.door.left(None, "127.0.0.1:5", "it put no good token", NOW)
    bench.door.left(bench.enter(), "127.0.0.1:6", "it said goodbye", NOW)
    assert bench.events == [Dropped(NOW, "127.0.0.1:5", "it put no good token")]


def test_all_of_it_works_behind_a_connection(bench):
    line = Line(door=bench.door)
    line.known(bench.token().decode())
    line.say(sender("/messages/devicebound", 2))
    (settled,) = line.say(line.transfer(hello()))
    assert settled.state == Accepted()
    (settled,) = line.say(line.transfer(hello("nobody")))
    assert conditions([settled.state]) == [errors.NOT_FOUND]
    for _ in range(50):
        (settled,) = line.say(line.transfer(hello()))[:1]
    assert conditions([settled.state]) == [errors.RESOURCE_LIMIT]
    bench.hub.purge("dev-1", NOW)
    bench.feedback("m1")
    line.say(receiver("/messages/serviceBound/feedback", 3), credit(3, 1))
    assert line.batches() == [["m1"]]


def test_the_outcome_of_feedback_is_the_services_word(bench):
    bench.feedback("m1")
    generation = bench.hub.device("dev-1").generation_id
    (record,) = bench.door.feedback(bench.enter()).take(9)
    assert record == Feedback(NOW, "m1", "dev-1", generation, Outcome.PURGED)


def test_a_token_shows_in_no_event(bench):
    with pytest.raises(AccessDenied):
        bench.enter(policy="device")
    assert "sig" not in bench.events[0].json()


def test_a_put_of_a_policy_without_the_right_is_answered_401(bench):
    line = Line(door=bench.door)
    line.known(bench.token(policy="registryRead").decode())
    line.say(line.transfer(put(bench.token(policy="registryRead").decode()), 0))
    assert b"Unauthorized" in line.payloads[-1]
