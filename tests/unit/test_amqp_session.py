"""One AMQP connection without a socket: how it begins, who is let in, and how it ends."""

from dataclasses import replace

import pytest
from amqp_line import (
    BAD_TOKEN,
    BEGIN,
    DEVICEBOUND,
    NOW,
    OPEN,
    TICK,
    TOKEN,
    Line,
    conditions,
    credit,
    hello,
    put,
    receiver,
    sender,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.emulator.amqp import errors, message, sasl
from host_tools.emulator.amqp.channel import HANDLES, WINDOW
from host_tools.emulator.amqp.framing import (
    AMQP,
    HEARTBEAT,
    LARGEST,
    SASL,
    SASL_FRAME,
    Header,
    frame,
    header,
)
from host_tools.emulator.amqp.message import Message, Properties
from host_tools.emulator.amqp.messaging import Accepted, Rejected
from host_tools.emulator.amqp.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Open,
    Transfer,
)
from host_tools.emulator.amqp.session import IDLE, PATIENCE


def test_a_client_may_begin_without_sasl_as_node_does() -> None:
    line = Line()
    assert line.raw(header(AMQP)) == [Header(AMQP, b"\1\0\0")]
    opened, begun = line.say(OPEN, BEGIN)
    assert isinstance(opened, Open)
    assert isinstance(begun, Begin)
    assert (opened.max_frame_size, opened.channel_max) == (LARGEST, 7)
    assert opened.idle_time_out == 1000 * IDLE
    assert (begun.remote_channel, begun.incoming_window) == (0, WINDOW)
    assert begun.handle_max == HANDLES - 1


def offered(line: Line) -> tuple[str, ...]:
    start, offer = line.raw(header(SASL))
    assert start == Header(SASL, b"\1\0\0")
    said = sasl.parse(offer.body)
    assert isinstance(said, sasl.Mechanisms)
    return said.offered


def outcome(line: Line, init: bytes) -> int:
    (item,) = line.raw(init)
    said = sasl.parse(item.body)
    assert isinstance(said, sasl.Outcome)
    line.framer.header_next = True
    return said.code


@pytest.mark.parametrize("mechanism", ["MSSBCBS", "ANONYMOUS"])
def test_a_client_may_be_anonymous_until_it_puts_a_token(mechanism: str) -> None:
    line = Line()
    assert mechanism in offered(line)
    assert outcome(line, sasl.encode(sasl.Init(mechanism))) == sasl.OK
    line.known()
    assert conditions(line.say(sender(DEVICEBOUND, 2))) == []
    assert line.door.hosts == ["localhost"]


def plain(user: str, token: str) -> bytes:
    return sasl.encode(sasl.Init("PLAIN", f"\0{user}\0{token}".encode(), "localhost"))


@pytest.mark.parametrize(
    ("user", "host"), [("service@sas.root.hub", "hub"), ("service", "localhost")]
)
def test_plain_lets_in_without_a_token_at_cbs(user: str, host: str) -> None:
    line = Line()
    offered(line)
    assert outcome(line, plain(user, TOKEN)) == sasl.OK
    line.opened()
    assert conditions(line.say(sender(DEVICEBOUND, 0))) == []
    assert line.door.hosts == [host]


@pytest.mark.parametrize(
    "init",
    [
        plain("service@sas.root.hub", BAD_TOKEN),
        plain("service@sas.root.hub", "no token"),
        sasl.encode(sasl.Init("EXTERNAL")),
    ],
)
def test_sasl_turns_away_who_has_no_good_token(init: bytes) -> None:
    line = Line()
    offered(line)
    assert outcome(line, init + header(AMQP)) == sasl.AUTH
    assert line.hung_up
    assert line.door.gone == [(None, "there:1", "SASL let it not in")]


def test_all_of_it_may_come_in_one_piece_or_byte_by_byte() -> None:
    greeting = header(SASL) + sasl.encode(sasl.Init("ANONYMOUS")) + header(AMQP)
    whole = greeting + b"".join(frame(said.encode()) for said in (OPEN, BEGIN, End(), Close()))
    at_once, slowly = Line(), Line()
    at_once.session.receive(whole, NOW, TICK)
    for byte in whole:
        slowly.session.receive(bytes((byte,)), NOW, TICK)
    assert at_once.sent == slowly.sent
    assert at_once.hung_up
    assert slowly.door.gone == [(None, "there:1", "it said goodbye")]


def answer(line: Line) -> Message:
    return message.parse(line.payloads[-1])


@pytest.mark.parametrize("message_id", [7, "seven", b"seven", (1 << 64) - 1])
def test_a_good_token_is_answered_with_200_and_the_requests_id(message_id: object) -> None:
    line = Line().opened()
    line.say(sender("$cbs", 0), receiver("$cbs", 1))
    (settled,) = line.say(line.transfer(put(TOKEN, message_id), 0))
    assert settled == Disposition(True, 0, settled=True, state=Accepted())
    line.say(credit(1, 1))
    assert answer(line).application == {"status-code": 200, "status-description": "OK"}
    assert answer(line).properties.correlation_id == message_id


# uamqp takes an answer that comes before the outcome for a failure
def test_the_outcome_of_a_request_comes_before_its_answer() -> None:
    line = Line().opened()
    line.say(sender("$cbs", 0), receiver("$cbs", 1), credit(1, 1))
    line.say(line.transfer(put(TOKEN), 0))
    assert [type(said) for said in line.said] == [Disposition, Transfer]


@pytest.mark.parametrize("token", [BAD_TOKEN, "Bearer abc", "", {"a": 1}, b"\xff", None])
def test_a_bad_token_is_answered_with_401_and_nothing_is_let_in(token: object) -> None:
    line = Line().known(token)
    assert answer(line).application["status-code"] == 401
    assert conditions(line.say(sender(DEVICEBOUND, 2))) == [errors.UNAUTHORIZED]
    assert not line.hung_up


def test_a_bad_renewal_leaves_the_older_token_good() -> None:
    line = Line().sender()
    line.say(line.transfer(put(BAD_TOKEN), 0))
    assert answer(line).application["status-code"] == 401
    (settled,) = line.say(line.transfer(hello()))
    assert settled.state == Accepted()


@pytest.mark.parametrize(
    ("wish", "condition"),
    [
        (replace(put(TOKEN), properties=Properties()), errors.INVALID_FIELD),
        (replace(put(TOKEN), application={"operation": "delete-token"}), errors.NOT_IMPLEMENTED),
        (b"\x41", errors.DECODE_ERROR),
        (put("x" * 20_000), errors.MESSAGE_SIZE),
    ],
)
def test_what_is_no_put_token_is_rejected(wish: Message | bytes, condition: str) -> None:
    line = Line().opened()
    line.say(sender("$cbs", 0))
    (settled,) = line.say(line.transfer(wish, 0))
    assert conditions([settled.state]) == [condition]


def test_answers_that_nobody_receives_do_not_pile_up() -> None:
    line = Line().opened()
    line.say(sender("$cbs", 0))
    states = [type(line.say(line.transfer(put(TOKEN), 0))[0].state) for _ in range(9)]
    assert states == [Accepted] * 8 + [Rejected]


def test_a_session_may_end_and_another_begin_on_its_channel() -> None:
    line = Line().sender()
    assert line.say(End()) == [End()]
    assert [type(said) for said in line.say(BEGIN, sender(DEVICEBOUND, 0))][:2] == [Begin, Attach]


def test_sessions_have_links_of_their_own() -> None:
    line = Line().sender()
    line.say(BEGIN, sender(DEVICEBOUND, 2), channel=7)
    for channel in (7, 0, 7):
        line.say(line.transfer(hello(f"on-{channel}")), channel=channel)
    assert [device_id for device_id, _ in line.door.sent] == ["on-7", "on-0", "on-7"]


def test_goodbye_is_said_back_and_nothing_is_heard_after_it() -> None:
    line = Line().sender()
    assert line.say(Close(), line.transfer(hello())) == [Close()]
    assert line.raw(frame(OPEN.encode())) == []
    principal, address, why = line.door.gone[0]
    assert principal is not None
    assert (principal.policy, address, why) == ("service", "there:1", "it said goodbye")
    assert line.door.sent == []


def test_the_cloud_says_why_it_closes() -> None:
    line = Line().sender()
    line.session.close("the cloud stops", NOW)
    line.say()
    assert line.ended() == (errors.FORCED, "the cloud stops")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\n", "what it speaks is not AMQP"),
        (b"AMQP\0\0\x09\1", "it speaks another version of AMQP than 1.0"),
        (b"AMQP\2\1\0\0", "it speaks another version of AMQP than 1.0"),
        (b"\x10\x10\0\4MQTT\4\2\0\x3c", "what it speaks is not AMQP"),
    ],
)
def test_who_speaks_something_else_is_told_what_is_spoken(data: bytes, why: str) -> None:
    line = Line()
    assert line.raw(data) == [Header(SASL, b"\1\0\0")]
    assert line.hung_up
    assert line.door.gone == [(None, "there:1", why)]


@pytest.mark.parametrize("said", [BEGIN, End(), Detach(0), sender("$cbs", 0)], ids=str)
def test_open_comes_first_and_who_says_otherwise_is_told_with_ours(said: object) -> None:
    line = Line()
    line.raw(header(AMQP))
    assert [type(one) for one in line.say(said)] == [Open, Close]
    assert line.ended()[0] == errors.NOT_ALLOWED


@pytest.mark.parametrize(
    ("said", "condition"),
    [
        (OPEN, errors.NOT_ALLOWED),
        (BEGIN, errors.NOT_ALLOWED),
        (Attach("x", HANDLES, True), errors.FRAMING_ERROR),
        (sender("$cbs", 0), errors.HANDLE_IN_USE),
        (Attach("x", 5, True, snd_settle_mode=3), errors.INVALID_FIELD),
        (Attach("x", 5, True, rcv_settle_mode=2), errors.INVALID_FIELD),
        (Detach(5), errors.UNATTACHED_HANDLE),
        (credit(5, 1), errors.UNATTACHED_HANDLE),
        (Transfer(5, 0, b"t"), errors.UNATTACHED_HANDLE),
        (Transfer(1, 0, b"t"), errors.FRAMING_ERROR),
        (Transfer(0, 0), errors.INVALID_FIELD),
        (Transfer(0, delivery_tag=b"t"), errors.INVALID_FIELD),
        (Transfer(0, 0, b"t" * 33), errors.INVALID_FIELD),
    ],
    ids=str,
)
def test_what_breaks_the_rules_closes_the_connection(said: object, condition: str) -> None:
    line = Line().known()
    line.say(said)
    assert line.ended()[0] == condition


def test_a_message_does_not_begin_before_the_last_one_is_whole() -> None:
    line = Line().sender()
    line.say(line.transfer(hello(), more=True), line.transfer(hello()))
    assert line.ended()[0] == errors.NOT_ALLOWED


@pytest.mark.parametrize(
    ("opening", "begin", "condition"),
    [
        (Open("c", max_frame_size=511), BEGIN, errors.INVALID_FIELD),
        (Open("c", idle_time_out=999), BEGIN, errors.NOT_ALLOWED),
        (OPEN, replace(BEGIN, remote_channel=0), errors.NOT_ALLOWED),
    ],
)
def test_terms_that_can_not_be_kept_are_refused(
    opening: Open, begin: Begin, condition: str
) -> None:
    line = Line().opened(opening, begin)
    assert line.ended()[0] == condition


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (frame(BEGIN.encode(), 8), errors.FRAMING_ERROR),
        (frame(End().encode(), 3), errors.NOT_ALLOWED),
        (frame(OPEN.encode(), 3), errors.NOT_ALLOWED),
        (frame(sasl.Init("PLAIN").encode(), kind=SASL_FRAME), errors.FRAMING_ERROR),
        (b"\0\1\0\1\2\0\0\0", errors.FRAMING_ERROR),
        (frame(b"\x40"), errors.DECODE_ERROR),
        (frame(b"\xc0\x02\x01" * 20), errors.DECODE_ERROR),
    ],
)
def test_bytes_that_break_the_rules_close_the_connection(data: bytes, condition: str) -> None:
    line = Line().known()
    line.hear(data)
    assert line.ended()[0] == condition


def test_sasl_is_spoken_once_and_only_sasl_in_it() -> None:
    for second in (frame(OPEN.encode()), sasl.encode(sasl.OFFER), header(SASL)):
        line = Line()
        offered(line)
        assert line.raw(second) == []
        assert line.hung_up
    line = Line()
    offered(line)
    line.raw(sasl.encode(sasl.Init("ANONYMOUS")) + header(SASL))
    assert line.hung_up


@pytest.mark.parametrize("response", [None, b"", b"no separators", b"\0one", b"a\0b\0c\0d"])
def test_a_plain_response_must_have_three_parts(response: bytes | None) -> None:
    line = Line()
    offered(line)
    line.raw(sasl.encode(sasl.Init("PLAIN", response)))
    assert line.hung_up


def test_a_heartbeat_goes_out_when_half_of_the_clients_patience_is_over() -> None:
    line = Line().known(opening=replace(OPEN, idle_time_out=10_000))
    line.tick += 4.9
    line.session.expire(NOW, line.tick)
    assert line.sent == b""
    line.tick += 0.1
    for _ in range(2):
        line.session.expire(NOW, line.tick)
    assert line.sent == HEARTBEAT
    line.tick += 5
    line.session.expire(NOW, line.tick)
    assert line.sent == 2 * HEARTBEAT


@pytest.mark.parametrize("idle", [None, 0])
def test_a_client_that_asks_for_no_heartbeats_gets_none(idle: int | None) -> None:
    line = Line().known(opening=replace(OPEN, idle_time_out=idle))
    assert line.wait(IDLE) == []
    assert line.sent == b""


def test_a_silent_client_is_closed_after_twice_what_it_was_told() -> None:
    line = Line().known()
    assert line.wait(IDLE) == []
    assert line.raw(HEARTBEAT) == []
    assert line.wait(2 * IDLE - 1) == []
    line.wait(1)
    assert line.ended() == (errors.RESOURCE_LIMIT, "it was silent for 480 s")


def test_who_puts_no_good_token_has_a_minute_and_bytes_gain_no_time() -> None:
    line = Line().known(BAD_TOKEN)
    line.tick += PATIENCE - 1
    line.raw(HEARTBEAT)
    assert line.wait(0.9) == []
    line.wait(0.1)
    assert line.ended() == (errors.UNAUTHORIZED, "it put no good token in 60 s")


def test_who_says_nothing_at_all_is_hung_up_on() -> None:
    line = Line()
    line.session.expire(NOW, TICK + PATIENCE)
    assert line.hung_up


def test_the_connection_ends_with_its_token_unless_a_newer_one_came() -> None:
    line = Line().known()
    assert line.wait(1, NOW + 3599) == []
    line.wait(1, NOW + 3600)
    assert line.ended() == (errors.UNAUTHORIZED, "its token expired")


def test_setting_the_clock_back_closes_nobody() -> None:
    line = Line().known()
    assert line.wait(1, NOW - 1_000_000) == []


class Diary:
    """A watcher that writes down what it sees."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def received(self, words: str, now: float) -> None:
        self.lines.append(f"< {words}")

    def sent(self, words: str, now: float) -> None:
        self.lines.append(f"> {words}")

    def ended(self, why: str, now: float) -> None:
        self.lines.append(why)


def test_a_watcher_sees_every_frame_and_no_secret() -> None:
    diary = Diary()
    line = Line(diary)
    line.known()
    line.say(sender(DEVICEBOUND, 2), line.transfer(hello()), Close())
    plainly = Line(diary)
    offered(plainly)
    plainly.raw(plain("service@sas.root.hub", TOKEN))
    assert "< 0 open container_id=client hostname=localhost" in diary.lines
    size = len(hello().encode())
    words = f"< 0 transfer handle=2 delivery_id=1 delivery_tag=b'1' ({size} bytes)"
    assert words in diary.lines
    assert "> 0 disposition receives=True first=1 settled=True state=accepted" in diary.lines
    assert diary.lines[-2:] == [
        "it said goodbye",
        "< sasl-init mechanism=PLAIN hostname=localhost",
    ]
    said = "\n".join(diary.lines)
    assert "sig=" not in said
    assert "hello" not in said


def test_the_token_is_in_no_repr() -> None:
    assert "sig=" not in repr(put(TOKEN))
    assert "sig=" not in repr(sasl.Init("PLAIN", TOKEN.encode()))


CHUNKS = st.lists(st.binary(max_size=60), max_size=5)


@settings(max_examples=150, deadline=None)
@given(CHUNKS, st.sampled_from(["new", "sasl", "opened", "sender"]))
def test_any_bytes_are_heard_or_close_one_connection(chunks: list[bytes], stage: str) -> None:
    line, other = Line(), Line().sender()
    if stage == "sasl":
        offered(line)
    elif stage == "opened":
        line.opened()
    elif stage == "sender":
        line.sender()
    for chunk in chunks:
        line.session.receive(chunk, NOW, TICK)
        line.session.expire(NOW, TICK)
    assert line.hung_up == line.session.closed
    (settled,) = other.say(other.transfer(hello()))
    assert settled.state == Accepted()


def recorded() -> bytes:
    """What a client says in a whole life, heartbeat and goodbye included."""
    line = Line()
    data = header(SASL) + sasl.encode(sasl.Init("MSSBCBS", b"x", "localhost")) + header(AMQP)
    for said, payload in (
        (OPEN, b""),
        (BEGIN, b""),
        (sender("$cbs", 0), b""),
        (receiver("$cbs", 1), b""),
        (credit(1, 10), b""),
        line.transfer(put(TOKEN), 0),
        (Disposition(True, 0, 0, True, Accepted()), b""),
        (sender(DEVICEBOUND, 2), b""),
        line.transfer(hello(), more=True),
        (Transfer(2), b""),
        (receiver("/messages/serviceBound/feedback", 3), b""),
        (credit(3, 10, drain=True, echo=True), b""),
        (Detach(3, True), b""),
        (End(), b""),
        (Close(), b""),
    ):
        data += frame(said.encode() + payload) + HEARTBEAT
    return data


RECORDED = recorded()


def test_the_recorded_life_ends_well() -> None:
    line = Line()
    line.door.happened("m1")
    line.session.receive(RECORDED, NOW, TICK)
    assert line.door.gone[0][2] == "it said goodbye"
    assert line.door.sent[0][0] == "dev-1"


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(RECORDED) - 1), st.integers(0, 255)), min_size=1, max_size=4
    ),
    st.integers(1, 200),
)
def test_no_damage_of_a_conversation_does_more_than_close_it(
    damage: list[tuple[int, int]], size: int
) -> None:
    data = bytearray(RECORDED)
    for place, byte in damage:
        data[place] = byte
    line = Line()
    line.door.happened("m1", "m2")
    for at in range(0, len(data), size):
        line.session.receive(bytes(data[at : at + size]), NOW, TICK)
        line.session.expire(NOW, TICK)
    assert line.hung_up == line.session.closed
    assert line.sent.startswith(b"AMQP")
