"""AMQP's frames, performatives and messages: fields to bytes and back, and foreign bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.amqp import message, performatives, sasl
from host_tools.emulator.amqp.composite import Composite
from host_tools.emulator.amqp.decoding import decode
from host_tools.emulator.amqp.encoding import described, encode, sequence, string
from host_tools.emulator.amqp.errors import (
    DECODE_ERROR,
    FRAMING_ERROR,
    NOT_IMPLEMENTED,
    MessageRefused,
    Violation,
)
from host_tools.emulator.amqp.framing import (
    AMQP,
    HEARTBEAT,
    LARGEST,
    SASL,
    SASL_FRAME,
    Frame,
    Framer,
    Header,
    frame,
    header,
)
from host_tools.emulator.amqp.message import Message, Properties
from host_tools.emulator.amqp.messaging import (
    STATE,
    Accepted,
    Error,
    Modified,
    Received,
    Rejected,
    Released,
    Source,
    Target,
)
from host_tools.emulator.amqp.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Transfer,
)
from host_tools.emulator.amqp.values import Symbol, Timestamp

SOME = (
    Open("c"),
    Open("c", "hub", 512, 1, 1000, properties={"a": 1}, offered_capabilities=(Symbol("x"),)),
    Begin(next_outgoing_id=0, incoming_window=1, outgoing_window=2),
    Begin(
        remote_channel=3, next_outgoing_id=9, incoming_window=1, outgoing_window=2, handle_max=7
    ),
    Attach("l", 0, True, source=Source("$cbs"), target=Target("x", dynamic=True)),
    Attach("l", 1, False, 1, 1, max_message_size=1 << 40, initial_delivery_count=0),
    Flow(incoming_window=1, next_outgoing_id=2, outgoing_window=3),
    Flow(
        next_incoming_id=0,
        incoming_window=1,
        next_outgoing_id=2,
        outgoing_window=3,
        handle=0,
        delivery_count=0,
        link_credit=100,
        drain=True,
        echo=True,
    ),
    Transfer(0, 1, b"tag", 0, more=True),
    Transfer(0, state=Received(1, 2), aborted=True),
    Disposition(True, 4, 6, True, Rejected(Error("amqp:not-found", "no"))),
    Disposition(False, 4, state=Modified(True, True, {"a": "b"})),
    Disposition(True, 1, state=Released()),
    Detach(1, True, Error("amqp:internal-error")),
    End(),
    Close(Error("a:b", "c", {Symbol("d"): 1})),
)


@pytest.mark.parametrize("said", SOME, ids=str)
def test_a_performative_comes_back_as_it_was_said(said: Composite) -> None:
    assert performatives.parse(said.encode() + b"payload") == (said, b"payload")


@pytest.mark.parametrize("said", SOME, ids=str)
def test_a_descriptor_may_be_a_symbol(said: Composite) -> None:
    value, _ = decode(said.encode())
    by_name = value._replace(descriptor=Symbol(said.NAME))
    assert performatives.parse(encode(by_name))[0] == said


# recorded: uamqp 1.6.11 and rhea 1.0.24, whose numbers and lists are as long as they can be
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            "005310c01e04a108636c69656e742d31a1096c6f63616c686f7374700001000060ffff",
            Open("client-1", "localhost", 65536),
        ),
        (
            "005311d000000010000000044043700000080070ffffffff",
            Begin(next_outgoing_id=0, incoming_window=2048, outgoing_window=0xFFFFFFFF),
        ),
        (
            "005312c0300ba10b246362732d73656e646572434250005000005328c00701a10424636273005329c00701"
            "a1042463627340404344",
            Attach(
                "$cbs-sender",
                0,
                False,
                snd_settle_mode=0,
                source=Source("$cbs"),
                target=Target("$cbs"),
                initial_delivery_count=0,
                max_message_size=0,
            ),
        ),
        (
            "005313d00000001900000007437000000800520170fffffffe52014370000003e8",
            Flow(
                next_incoming_id=0,
                incoming_window=2048,
                next_outgoing_id=1,
                outgoing_window=0xFFFFFFFE,
                handle=1,
                delivery_count=0,
                link_credit=1000,
            ),
        ),
        (
            "005315d00000000c000000054143434100532445",
            Disposition(True, 0, 0, True, Accepted()),
        ),
        ("005316c003024341", Detach(0, True)),
    ],
    ids=["open", "begin", "attach", "flow", "disposition", "detach"],
)
def test_what_clients_really_say_is_read(data: str, said: Composite) -> None:
    assert performatives.parse(bytes.fromhex(data)) == (said, b"")


def test_a_message_of_uamqp_is_read() -> None:
    data = (
        "005373c05309a1026d3140a1232f646576696365732f6465762d312f6d657373616765732f646576696365"
        "626f756e644040a1026331a3106170706c69636174696f6e2f6a736f6ea3057574662d3883000001a202c4"
        "4f00005374c11e04a105616c61726da1026869a10a696f746875622d61636ba10466756c6c005375a00868"
        "656c6c6f20c3bc"
    )
    read = message.parse(bytes.fromhex(data))
    assert read.body.decode() == "hello ü"
    assert read.application == {"alarm": "hi", "iothub-ack": "full"}
    assert read.properties == Properties(
        "m1",
        to="/devices/dev-1/messages/devicebound",
        correlation_id="c1",
        content_type="application/json",
        content_encoding="utf-8",
        absolute_expiry_time=Timestamp(1795342749440),
    )


def listed(code: int, *fields: bytes) -> bytes:
    return described(code, sequence(fields))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "too early"),
        (b"\x40", "no performative"),
        (listed(0x19), "no performative"),
        (described(0x10, b"\x40"), "other fields"),
        (listed(0x10), "has no container_id"),
        (listed(0x10, b"\x40"), "has no container_id"),
        (listed(0x10, b"\x41"), "not of type string"),
        (listed(0x11, b"\x40", b"\x43", b"\x43", b"\x43", b"\x54\xff"), "not of type uint"),
        (listed(0x12, string("x"), b"\x43", b"\x43"), "not of type boolean"),
        (listed(0x16, b"\x43", b"\x41", b"\x41"), "no error"),
        (listed(0x15, b"\x41", b"\x43", b"\x43", b"\x41", listed(0x28)), "no delivery state"),
        (listed(0x17, b"\x40", b"\x40"), "other fields"),
    ],
)
def test_what_is_no_performative_is_named(body: bytes, why: str) -> None:
    with pytest.raises(Violation, match=why) as caught:
        performatives.parse(body)
    assert caught.value.condition == DECODE_ERROR


def test_words_hold_no_secret() -> None:
    assert (
        str(sasl.Init("PLAIN", b"\0me\0secret", "hub")) == "sasl-init mechanism=PLAIN hostname=hub"
    )
    assert "secret" not in repr(sasl.Init("PLAIN", b"secret"))
    assert "secret" not in repr(Message(body=b"secret", application={"a": "secret"}))


def taken(framer: Framer, data: bytes) -> list[Header | Frame]:
    framer.feed(data)
    items = []
    while item := framer.take():
        items.append(item)
    return items


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 60))
def test_frames_come_whole_whatever_the_chunks(bodies: list[bytes], size: int) -> None:
    data = header(AMQP) + b"".join(frame(body, 7) for body in bodies) + HEARTBEAT
    framer, items = Framer(), []
    for at in range(0, len(data), size):
        items += taken(framer, data[at : at + size])
    assert items == [
        Header(AMQP, b"\1\0\0"),
        *(Frame(0, 7, body) for body in bodies),
        Frame(0, 0, b""),
    ]


def test_an_extended_header_is_passed_over() -> None:
    framer = Framer()
    framer.header_next = False
    assert taken(framer, b"\0\0\0\x0d\x03\1\0\2exteB") == [Frame(SASL_FRAME, 2, b"B")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\n", "not AMQP"),
        (header(SASL) + b"\0\1\0\1\2\0\0\0", f"at most {LARGEST}"),
        (header(SASL) + b"\0\0\0\7\2\0\0\0", "outside"),
        (header(SASL) + b"\0\0\0\x20\1\0\0\0", "outside"),
        (header(SASL) + b"\0\0\0\x08\xff\0\0\0", "outside"),
        (header(SASL) + b"\0\0\0\x08\2\2\0\0", "no frame has type 2"),
    ],
)
def test_what_is_no_frame_is_refused_before_it_is_whole(data: bytes, why: str) -> None:
    with pytest.raises(Violation, match=why) as caught:
        taken(Framer(), data)
    assert caught.value.condition == FRAMING_ERROR


@given(st.booleans(), st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_are_frames_or_a_violation(headed: bool, chunks: list[bytes]) -> None:
    framer = Framer()
    framer.header_next = headed
    try:
        for chunk in chunks:
            for item in taken(framer, chunk):
                if isinstance(item, Frame):
                    performatives.parse(item.body)
    except Violation as error:
        assert error.condition in (FRAMING_ERROR, DECODE_ERROR)


messages = st.builds(
    Message,
    st.builds(
        Properties,
        st.none() | st.text() | st.binary() | st.uuids() | st.integers(0, (1 << 64) - 1),
        st.none() | st.binary(),
        to=st.none() | st.text(),
        correlation_id=st.none() | st.text(),
        content_type=st.none() | st.builds(Symbol, st.text(alphabet="a/b")),
        absolute_expiry_time=st.none() | st.builds(Timestamp, st.integers(0, 1 << 45)),
    ),
    st.dictionaries(st.text(), st.none() | st.text() | st.integers(-1000, 1000)),
    st.dictionaries(st.builds(Symbol, st.text(alphabet="ab")), st.integers(-9, 9)),
    st.binary() | st.text() | st.none(),
)


@given(messages)
def test_a_message_comes_back_as_it_was_sent(sent: Message) -> None:
    assert message.parse(sent.encode()) == sent


@given(st.binary(max_size=120) | st.builds(lambda m, at: m.encode()[:at], messages, st.integers()))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        assert isinstance(message.parse(data), Message)
    except MessageRefused as refused:
        assert refused.condition in (DECODE_ERROR, NOT_IMPLEMENTED)


def test_data_may_come_in_pieces_between_sections_that_are_passed_over() -> None:
    head, foot = listed(0x70, b"\x41"), described(0x78, encode({}))
    pieces = described(0x75, encode(b"one ")) + described(0x75, encode(b"two"))
    named = b"\0" + encode(Symbol("amqp:data:binary")) + encode(b", three")
    assert message.parse(head + pieces + named + foot).body == b"one two, three"


@pytest.mark.parametrize(
    "data",
    [
        b"\x41",
        listed(0x79),
        described(0x74, encode({1: "a"})),
        described(0x74, encode([])),
        listed(0x73) * 2,
        described(0x77, b"\x41") * 2,
        described(0x73, b"\x41"),
        b"\0" + encode(Symbol("amqp:other:list")) + b"\x45",
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(MessageRefused):
        message.parse(data)


def test_a_body_of_sequences_is_not_taken() -> None:
    with pytest.raises(MessageRefused, match="sequences"):
        message.parse(described(0x76, encode([1])))


def test_states_are_read_by_their_codes() -> None:
    for state in (Accepted(), Released(), Rejected(), Modified(), Received(1, 2)):
        assert STATE.read(decode(state.encode())[0]) == state
