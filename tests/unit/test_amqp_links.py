"""Links without a socket: messages for devices go in, feedback comes out, and credit is kept."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from amqp_line import (
    BEGIN,
    DEVICEBOUND,
    FEEDBACK,
    OPEN,
    Line,
    conditions,
    credit,
    hello,
    receiver,
    sender,
)

from host_tools.emulator.amqp import errors
from host_tools.emulator.amqp.channel import WINDOW
from host_tools.emulator.amqp.links import CREDIT, distance, left
from host_tools.emulator.amqp.message import Message
from host_tools.emulator.amqp.messaging import (
    Accepted,
    Error,
    Modified,
    Received,
    Rejected,
    Released,
)
from host_tools.emulator.amqp.performatives import (
    Attach,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Transfer,
)
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.messages import CloudMessage

NOTIFICATIONS = "/messages/serviceBound/filenotifications"


@pytest.mark.parametrize(
    "address",
    [
        "/messages/devicebound",
        "messages/deviceBound",
        "amqps://localhost/messages/devicebound",
        "amqps://localhost:5671/messages/deviceBound",
    ],
)
def test_messages_are_taken_by_whatever_address_sdks_have_for_it(address: str) -> None:
    line = Line().known()
    attached, flow = line.say(sender(address, 2))
    assert attached.receives
    assert attached.target.address == address
    assert (flow.handle, flow.link_credit) == (2, CREDIT)
    (settled,) = line.say(line.transfer(hello()))
    assert settled == Disposition(True, 1, settled=True, state=Accepted())
    assert line.door.sent == [("dev-1", CloudMessage(b"hello"))]


@pytest.mark.parametrize(
    "attach",
    [
        sender("/devices/dev-1/messages/events", 2),
        sender("/messages/serviceBound/feedback", 2),
        sender(None, 2),
        sender(["list"], 2),
        receiver("messages/events", 2),
        receiver(None, 2),
        replace(receiver("x", 2), source=None),
    ],
)
def test_a_link_that_leads_nowhere_is_attached_without_its_end_and_detached(
    attach: Attach,
) -> None:
    line = Line().known()
    attached, detach = line.say(attach)
    assert (attached.source if attach.receives else attached.target) is None
    assert (detach.handle, detach.closed) == (2, True)
    assert detach.error.condition == errors.NOT_FOUND
    # what was on its way is passed over, and the handle is free again once both have detached
    assert line.say(line.transfer(hello()), credit(2, 1), Detach(2, True)) == []
    assert conditions(line.say(sender(DEVICEBOUND, 2))) == []


@pytest.mark.parametrize(
    "attach",
    [
        sender(DEVICEBOUND, 0),
        sender("/elsewhere", 0),
        receiver(FEEDBACK, 0),
        receiver(NOTIFICATIONS, 0),
        receiver("/elsewhere", 0),
    ],
)
def test_who_is_unknown_is_told_nothing_but_that(attach: Attach) -> None:
    assert conditions(Line().opened().say(attach)) == [errors.UNAUTHORIZED]


@pytest.mark.parametrize(
    ("code", "condition"),
    [
        (404001, errors.NOT_FOUND),
        (403004, errors.RESOURCE_LIMIT),
        (413001, errors.MESSAGE_SIZE),
        (400004, "com.microsoft:argument-error"),
        (429001, "com.microsoft:device-container-throttled"),
        (404002, "com.microsoft:iot-hub-not-found-error"),
        (500001, errors.INTERNAL_ERROR),
        (599999, errors.INTERNAL_ERROR),
    ],
)
def test_the_hubs_error_becomes_the_messages_outcome(code: int, condition: str) -> None:
    line = Line().sender()
    line.door.fault = ServiceError(code, "no such thing")
    (settled,) = line.say(line.transfer(hello()))
    assert settled.settled
    assert settled.state == Rejected(Error(condition, "no such thing"))


def test_a_long_error_is_cut_to_fit_the_smallest_frame() -> None:
    line = Line().known(opening=replace(OPEN, max_frame_size=512))
    line.say(sender(DEVICEBOUND, 2))
    line.door.fault = ServiceError(404001, "ü" * 5000)
    line.session.receive(b"", 0, 0)
    (settled,) = line.say(line.transfer(hello()))
    assert len(settled.encode()) < 512


def test_a_message_may_come_in_parts_and_may_be_given_up() -> None:
    line = Line().sender()
    data = hello().encode()
    first = line.transfer(data, more=True)[0]
    assert line.say((first, data[:3]), (Transfer(2, more=True), data[3:5])) == []
    (settled,) = line.say((Transfer(2), data[5:]))
    assert settled.state == Accepted()
    line.say((line.transfer(data, more=True)[0], data[:3]), Transfer(2, aborted=True))
    (settled,) = line.say(line.transfer(hello("dev-2")))
    assert settled.state == Accepted()
    assert [device_id for device_id, _ in line.door.sent] == ["dev-1", "dev-2"]


def test_what_is_sent_settled_is_not_answered() -> None:
    line = Line().sender()
    line.door.fault = ServiceError(404001, "no")
    assert line.say(line.transfer(hello(), settled=True)) == []


def in_parts(line: Line, sent: Message) -> Iterator[Any]:
    transfer, data = line.transfer(sent)
    for at in range(0, len(data), 60_000):
        yield replace(transfer, more=at + 60_000 < len(data)), data[at : at + 60_000]


def test_a_large_message_is_taken_and_a_larger_one_rejected_and_forgotten() -> None:
    line = Line().sender()
    (settled,) = line.say(*in_parts(line, hello(body=b"x" * 64 * 1024)))
    assert settled.state == Accepted()
    (settled,) = line.say(*in_parts(line, hello(body=b"x" * 1024 * 1024)))
    assert settled.state.error.condition == errors.MESSAGE_SIZE
    (settled,) = line.say(line.transfer(hello()))
    assert settled.state == Accepted()


@pytest.mark.parametrize("changes", [{"message_format": 0x80013700}, {"resume": True}])
def test_batches_and_resumed_messages_are_not_taken(changes: dict[str, Any]) -> None:
    line = Line().sender()
    assert conditions(line.say(line.transfer(hello(), **changes))) == [errors.NOT_IMPLEMENTED]
    assert not line.hung_up


def test_credit_and_window_are_given_again_before_they_run_out() -> None:
    line = Line().sender()
    said = []
    for _ in range(3000):
        said += line.say(line.transfer(hello()))
    flows = [one for one in said if isinstance(one, Flow)]
    assert len(line.door.sent) == 3000
    assert [flow.link_credit for flow in flows if flow.handle == 2] == [CREDIT] * 60
    assert [flow.delivery_count for flow in flows if flow.handle == 2][:2] == [50, 100]
    assert [flow.incoming_window for flow in flows if flow.handle is None] == [WINDOW] * 2


def test_messages_that_are_given_up_use_no_credit_up() -> None:
    line = Line().sender()
    said = []
    for _ in range(CREDIT):
        said += line.say(line.transfer(b"", more=True), Transfer(2, aborted=True))
    assert [flow.link_credit for flow in said] == [CREDIT] * 2


def test_a_message_without_end_fills_no_memory() -> None:
    line = Line().sender()
    line.say(line.transfer(hello(), more=True))
    before = sys.getsizeof(line.session._channels[0]._links[2]._data)
    for _ in range(2000):
        line.say((Transfer(2, more=True), b"x" * 1000), Transfer(2, more=True))
    after = sys.getsizeof(line.session._channels[0]._links[2]._data)
    assert after < before + 100_000


def test_feedback_comes_in_batches_as_far_as_credit_goes() -> None:
    line = Line()
    line.door.happened(*(f"m{number}" for number in range(100)))
    line.receiver(1)
    assert [len(batch) for batch in line.batches()] == [64]
    (transfer,) = line.said
    assert (transfer.handle, transfer.delivery_id, len(transfer.delivery_tag)) == (2, 1, 16)
    line.say(credit(2, 5, seen=1))
    assert [len(batch) for batch in line.batches()] == [36]


def test_feedback_that_happens_later_comes_at_the_next_look() -> None:
    line = Line().receiver()
    assert line.said == []
    line.door.happened("m1")
    line.wait(0.25)
    assert line.batches() == [["m1"]]
    line.wait(0.25)
    assert line.said == []


@pytest.mark.parametrize(
    ("state", "comes_again"),
    [
        (Accepted(), False),
        (Rejected(), False),
        (Released(), True),
        (Modified(True), True),
        (None, True),
    ],
    ids=str,
)
def test_feedback_is_done_or_comes_again_as_its_receiver_says(
    state: Any, comes_again: bool
) -> None:
    line = Line()
    line.door.happened("m1")
    line.receiver(1)
    line.say(Disposition(True, 1, settled=True, state=state))
    line.say(credit(2, 1, seen=1))
    assert line.batches() == [["m1"]] * comes_again


def test_a_state_that_is_no_outcome_settles_nothing() -> None:
    line = Line()
    line.door.happened("m1")
    line.receiver(1)
    assert line.say(Disposition(True, 1, state=Received(0, 0)), Disposition(True, 1)) == []
    line.say(Detach(2, True))
    assert len(line.door.feed) == 1


# C#: it says what became of a batch, and waits until it hears that this is settled
@pytest.mark.parametrize("state", [Accepted(), Released()], ids=str)
def test_a_receiver_that_settles_second_hears_that_it_is_settled(state: Any) -> None:
    line = Line()
    line.door.happened("m1")
    line.receiver(1, rcv_settle_mode=1)
    (settled,) = line.say(Disposition(True, 1, state=state))
    assert settled == Disposition(False, 1, settled=True, state=Accepted())


def test_several_batches_are_settled_at_once() -> None:
    line = Line()
    line.door.happened(*(f"m{number}" for number in range(3 * 64)))
    line.receiver(3)
    line.say(Disposition(True, 0, 3, True, Accepted()), Detach(2, True))
    assert line.door.feed == []


def test_a_receiver_that_wants_no_say_gets_its_feedback_settled() -> None:
    line = Line()
    line.door.happened("m1")
    line.receiver(1, snd_settle_mode=1)
    (transfer,) = line.said
    assert transfer.settled
    line.say(Detach(2, True))
    assert line.door.feed == []


def test_a_range_that_ends_before_it_begins_is_its_first_number() -> None:
    line = Line()
    line.door.happened(*(str(number) for number in range(130)))
    line.receiver(2)
    line.say(Disposition(True, 2, 1, True, Accepted()), Detach(2, True))
    left_over = [int(record.message_id) for record in line.door.feed]
    assert left_over == [*range(64), 128, 129]


def test_a_batch_half_way_is_forgotten_with_its_link() -> None:
    line = Line()
    line.door.happened(*(str(number) for number in range(64)))
    line.known(opening=replace(OPEN, max_frame_size=512))
    line.say(receiver(FEEDBACK, 2))
    line.say(credit(2, 1, next_incoming_id=1, incoming_window=1))
    assert line.say(Detach(2, True)) == [Detach(2, True)]
    assert len(line.door.feed) == 64
    assert line.say(credit(1, 10, seen=1, next_incoming_id=2)) == []


@pytest.mark.parametrize("said", [Detach(2, True), End(), Close()], ids=str)
def test_what_a_receiver_leaves_behind_goes_back_in_order(said: Any) -> None:
    line = Line()
    line.door.happened(*(str(number) for number in range(130)))
    line.receiver(2)
    line.say(said)
    assert [int(record.message_id) for record in line.door.feed] == list(range(130))


def test_a_receiver_that_settles_nothing_gets_no_more_than_16_batches() -> None:
    line = Line()
    line.door.happened(*(str(number) for number in range(64 * 20)))
    line.receiver(1000)
    assert len(line.batches()) == 16
    line.say(Disposition(True, 1, 16, True, Accepted()))
    assert len(line.batches()) == 4


def test_a_batch_is_cut_to_the_clients_frames_and_window() -> None:
    line = Line()
    line.door.happened(*(str(number) for number in range(64)))
    line.known(opening=replace(OPEN, max_frame_size=512))
    line.say(receiver(FEEDBACK, 2))
    line.say(credit(2, 1, next_incoming_id=1, incoming_window=3))
    assert [transfer.more for transfer in line.said] == [True] * 3
    whole = line.payloads
    line.say(credit(None, 0, next_incoming_id=4, incoming_window=1000, link_credit=None))
    assert line.said[-1].more is False
    line.payloads = whole + line.payloads
    line.said = [Transfer(2, more=True)] * 3 + line.said
    assert [len(batch) for batch in line.batches()] == [64]
    assert max(map(len, line.payloads)) <= 512 - 64


def test_drained_credit_is_used_up_and_said_so() -> None:
    line = Line()
    line.door.happened("m1")
    line.receiver(0)
    transfer, flow = line.say(credit(2, 10, drain=True))
    assert isinstance(transfer, Transfer)
    assert (flow.drain, flow.link_credit, flow.delivery_count) == (True, 0, 10)
    line.door.happened("m2")
    assert line.wait(1) == []


def test_whoever_asks_for_an_echo_hears_how_things_stand() -> None:
    line = Line().receiver(3)
    (flow,) = line.say(credit(2, 3, echo=True))
    assert (flow.handle, flow.link_credit, flow.delivery_count) == (2, 3, 0)
    assert flow.next_incoming_id == 1
    (flow,) = line.say(credit(None, 0, link_credit=None, delivery_count=None, echo=True))
    assert (flow.handle, flow.link_credit) == (None, None)


def test_a_window_without_limit_is_a_window() -> None:
    line = Line()
    line.door.happened("m1")
    line.receiver(1, begin=replace(BEGIN, incoming_window=0xFFFFFFFF))
    assert line.batches() == [["m1"]]
    line.door.happened("m2")
    line.say(credit(2, 0xFFFFFFFF, 1, next_incoming_id=2, incoming_window=0xFFFFFFFF))
    assert line.batches() == [["m2"]]


def test_numbers_wrap() -> None:
    assert distance(2, 0xFFFFFFFE) == 4
    assert distance(0xFFFFFFFE, 2) == 0
    assert left(10, 0xFFFFFFFE, 2) == 6
    assert left(3, 0xFFFFFFFE, 2) == 0
    assert left(5, None, 2) == 3


def test_notifications_of_uploads_may_be_waited_for() -> None:
    line = Line().known()
    (attached,) = line.say(receiver(NOTIFICATIONS, 2))
    assert attached.source.address == NOTIFICATIONS
    assert line.say(credit(2, 10)) == []
