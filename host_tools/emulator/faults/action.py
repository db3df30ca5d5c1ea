"""Action: what goes wrong, in which words, and where it can.

Owns every kind of fault, its phrases, and the operations it goes with. Doesn't own how it is
done: peer.py, wire.py, and the stand-ins for DNS and NTP.
Source: protocol.md 1.4 for DPS's statuses, 4.5 and 5.2 for what boards and SDKs must survive.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from host_tools.emulator.faults import when as at
from host_tools.emulator.faults.phrases import Phrase, read


class Kind(StrEnum):
    """What goes wrong."""

    # an answer that is another than it should be
    CONNACK = "connack"
    SESSION_PRESENT = "session-present"
    SUBACK = "suback"
    ERROR = "error"
    STATUS = "status"
    WRONG_RID = "wrong-rid"
    EMPTY_BODY = "empty-body"
    NO_RETRY_AFTER = "no-retry-after"
    QOS_0 = "qos-0"
    # none, or late
    LATE = "late"
    NO_ANSWER = "no-answer"
    IGNORED = "ignored"
    # a packet that no decent server sends
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"
    OVERLONG = "overlong"
    MALFORMED = "malformed"
    # the connection
    DROP = "drop"
    CLOSE = "close"
    HALF_OPEN = "half-open"
    SLOW_LINE = "slow-line"
    EXPIRED = "expired"
    # the services' idea of the world
    MOVE = "move"
    CLOCK = "clock"
    # TLS
    WRONG_NAME = "wrong-name"
    EXPIRED_CERTIFICATE = "expired-certificate"
    EARLY_CERTIFICATE = "early-certificate"
    UNKNOWN_CA = "unknown-ca"
    TLS_1_3_ONLY = "tls-1.3-only"
    HANGS = "hangs"
    # DNS
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    ADDRESS = "address"
    # NTP
    KISS = "kiss"
    UNSYNCHRONISED = "unsynchronised"
    BOGUS = "bogus"


@dataclass(frozen=True, slots=True)
class Action:
    """One fault with its figures."""

    phrase: str
    kind: Kind
    code: int = 0  # a service's, six digits or three; CONNACK's return code
    retry_after: int | None = None  # seconds; None: as the service always says
    bare: bool = False  # an error without retry-after
    empty: bool = False  # an error without a body
    seconds: float = 0  # late by; a clock's lead, negative behind
    size: int = 0  # bytes, or bytes a second
    text: str = ""  # a status, a host, an address, a kiss code


CERTIFICATES = frozenset(
    {Kind.WRONG_NAME, Kind.EXPIRED_CERTIFICATE, Kind.EARLY_CERTIFICATE, Kind.UNKNOWN_CA}
)
_PACKETS = at.DOINGS | at.PUSHES | {at.PACKET_OUT}
_LINES = _PACKETS | {at.STAY, at.PACKET_IN}
_BODIES = at.QUESTIONS | at.PUSHES
_ASSIGNMENTS = frozenset({at.REGISTER, at.POLL, at.LOOK_UP})

# the operations at which each kind can happen
PLACES: dict[Kind, frozenset[str]] = {
    Kind.CONNACK: frozenset({at.CONNECT}),
    Kind.SESSION_PRESENT: frozenset({at.CONNECT}),
    Kind.SUBACK: frozenset({at.SUBSCRIBE}),
    Kind.ERROR: at.QUESTIONS
    | {at.CONNECT, at.SUBSCRIBE, at.TELEMETRY, at.METHOD_ANSWER, at.REQUEST},
    Kind.STATUS: _ASSIGNMENTS,
    Kind.WRONG_RID: (at.QUESTIONS - {at.LOOK_UP}) | {at.METHOD},
    Kind.EMPTY_BODY: _BODIES | {at.REQUEST},
    Kind.NO_RETRY_AFTER: frozenset({at.REGISTER, at.POLL}),
    Kind.QOS_0: _BODIES - {at.LOOK_UP},
    Kind.LATE: _PACKETS | {at.NAME, at.TIME, at.REQUEST},
    Kind.NO_ANSWER: _PACKETS | {at.NAME, at.TIME, at.REQUEST},
    Kind.IGNORED: at.QUESTIONS | {at.TELEMETRY, at.METHOD_ANSWER, at.REQUEST},
    Kind.TRUNCATED: _PACKETS - {at.LOOK_UP},
    Kind.OVERSIZED: _PACKETS - {at.LOOK_UP},
    Kind.OVERLONG: _PACKETS - {at.LOOK_UP},
    Kind.MALFORMED: _PACKETS - {at.LOOK_UP},
    Kind.DROP: _LINES | {at.REQUEST},
    Kind.CLOSE: _LINES - {at.LOOK_UP},
    Kind.HALF_OPEN: _LINES - {at.LOOK_UP},
    Kind.SLOW_LINE: _LINES - {at.LOOK_UP},
    Kind.EXPIRED: _LINES - {at.LOOK_UP},
    Kind.MOVE: frozenset({at.REGISTER}),
    Kind.CLOCK: frozenset({at.CONNECT, at.TIME, at.REQUEST}),
    **{kind: frozenset({at.HAND_SHAKE}) for kind in CERTIFICATES},
    Kind.TLS_1_3_ONLY: frozenset({at.HAND_SHAKE}),
    Kind.HANGS: frozenset({at.HAND_SHAKE}),
    Kind.NXDOMAIN: frozenset({at.NAME}),
    Kind.SERVFAIL: frozenset({at.NAME}),
    Kind.ADDRESS: frozenset({at.NAME}),
    Kind.KISS: frozenset({at.TIME}),
    Kind.UNSYNCHRONISED: frozenset({at.TIME}),
    Kind.BOGUS: frozenset({at.TIME}),
}


def _plain(words: str, meaning: str, kind: Kind, **figures: Any) -> Phrase[Action]:
    return Phrase(words, meaning, lambda phrase: Action(phrase, kind, **figures))


ACTIONS = (
    Phrase(
        "CONNACK {connack}",
        "refused: 1 version, 2 client ID, 3 unavailable, 4 bad user or password, 5 not authorised",
        lambda phrase, code: Action(phrase, Kind.CONNACK, code),
    ),
    _plain(
        "session present",
        "CONNACK says that a session was kept, though none was",
        Kind.SESSION_PRESENT,
    ),
    _plain("SUBACK 128", "the subscription is refused", Kind.SUBACK),
    Phrase(
        "{code}",
        "an error of the service, 400 to 599 or all six digits, such as 429001; what was asked for"
        " is not done",
        lambda phrase, code: Action(phrase, Kind.ERROR, code),
    ),
    Phrase(
        "{code}, retry after {wait}",
        "an error that says when to come again",
        lambda phrase, code, wait: Action(phrase, Kind.ERROR, code, wait),
    ),
    Phrase(
        "{code}, no retry-after",
        "an error that does not, though this one should",
        lambda phrase, code: Action(phrase, Kind.ERROR, code, bare=True),
    ),
    Phrase(
        "{code} with an empty body",
        "an error without JSON: Azure's Node SDK dies of it",
        lambda phrase, code: Action(phrase, Kind.ERROR, code, empty=True),
    ),
    Phrase(
        "{code} with an empty body, retry after {wait}",
        "both",
        lambda phrase, code, wait: Action(phrase, Kind.ERROR, code, wait, empty=True),
    ),
    _plain("status failed", "DPS's status 200 with a bad end, 400207", Kind.STATUS, text="failed"),
    Phrase(
        "status failed with {error}",
        "the same with another error code: 400208, 400209",
        lambda phrase, code: Action(phrase, Kind.STATUS, code, text="failed"),
    ),
    _plain(
        "status disabled", "DPS's word for a disabled enrollment", Kind.STATUS, text="disabled"
    ),
    _plain("status unassigned", "to be asked again", Kind.STATUS, text="unassigned"),
    Phrase(
        "assigned to {host}",
        "DPS moves it to this hub of the cloud's, from now on",
        lambda phrase, host: Action(phrase, Kind.MOVE, text=host.lower()),
    ),
    _plain("the wrong rid", "the answer is to a request that nobody made", Kind.WRONG_RID),
    _plain("an empty body", "topic and status are right", Kind.EMPTY_BODY),
    _plain("no retry-after", "all else is right", Kind.NO_RETRY_AFTER),
    _plain("QoS 0", "an answer with QoS 0, whatever was granted", Kind.QOS_0),
    Phrase(
        "its answer {time} late",
        "done at once, answered late; to a quarter of a second",
        lambda phrase, span: Action(phrase, Kind.LATE, seconds=span),
    ),
    _plain("no answer", "done, but the answer is lost", Kind.NO_ANSWER),
    _plain("ignored", "neither done nor answered", Kind.IGNORED),
    _plain("half a packet", "then the connection ends", Kind.TRUNCATED),
    Phrase(
        "a packet of {bytes} bytes",
        "the answer, padded: JSON with blanks, anything else with zeros",
        lambda phrase, size: Action(phrase, Kind.OVERSIZED, size=size),
    ),
    _plain(
        "a packet that claims 256 MB",
        "a header that promises all that MQTT allows: what follows is taken for its body",
        Kind.OVERLONG,
    ),
    _plain(
        "a malformed packet",
        "one of five defects, by lot: packet type 15, QoS 3, a length of five bytes, a topic"
        " longer than its packet, a topic that is not UTF-8",
        Kind.MALFORMED,
    ),
    _plain("a dropped socket", "without a word, of TLS neither", Kind.DROP),
    _plain("a closed connection", "in order, as services do it", Kind.CLOSE),
    _plain(
        "a half-open connection",
        "the socket stays, nothing is said or heard any more, and no FIN comes",
        Kind.HALF_OPEN,
    ),
    _plain("one byte a second", "all that goes to it, from here on", Kind.SLOW_LINE, size=1),
    Phrase(
        "{rate} bytes a second",
        "the same, faster",
        lambda phrase, size: Action(phrase, Kind.SLOW_LINE, size=size),
    ),
    _plain("an expired token", "it is dropped as if its token had expired", Kind.EXPIRED),
    Phrase(
        "a clock {time} ahead",
        "the service's, when it checks a token; the time server's",
        lambda phrase, span: Action(phrase, Kind.CLOCK, seconds=span),
    ),
    Phrase(
        "a clock {time} behind",
        "the same, the other way",
        lambda phrase, span: Action(phrase, Kind.CLOCK, seconds=-span),
    ),
    _plain("a certificate for another name", "else all is well", Kind.WRONG_NAME),
    _plain("an expired certificate", "since yesterday", Kind.EXPIRED_CERTIFICATE),
    _plain("a certificate that is not valid yet", "until tomorrow", Kind.EARLY_CERTIFICATE),
    _plain("a certificate of an unknown CA", "the names are right", Kind.UNKNOWN_CA),
    _plain("TLS 1.3 only", "with the right certificate", Kind.TLS_1_3_ONLY),
    _plain("a hand-shake that hangs", "nothing comes back, the socket stays", Kind.HANGS),
    _plain("NXDOMAIN", "there is no such name", Kind.NXDOMAIN),
    _plain("SERVFAIL", "the DNS server is ill", Kind.SERVFAIL),
    Phrase(
        "the address {address}",
        "a wrong one",
        lambda phrase, address: Action(phrase, Kind.ADDRESS, text=address),
    ),
    Phrase(
        "the kiss of death {kiss}",
        "the time server wants no more questions: RATE, DENY or RSTR",
        lambda phrase, kiss: Action(phrase, Kind.KISS, text=kiss),
    ),
    _plain(
        "an unsynchronised clock",
        "the time server says that it does not know the time (stratum 16)",
        Kind.UNSYNCHRONISED,
    ),
    _plain(
        "a bogus packet",
        "an NTP answer to a question that nobody asked, with the time 0",
        Kind.BOGUS,
    ),
)

_WHEN_UNSAID = {
    at.CONNECT: "it connects",
    at.SUBSCRIBE: "it subscribes",
    at.REGISTER: "it registers",
    at.HAND_SHAKE: "it shakes hands",
    at.NAME: "it looks up a name",
    at.TIME: "it asks for the time",
}
_QUESTION = "it asks for anything"


def parse(text: str) -> Action:
    """Return the fault that text names; raise PhraseError."""
    return read(ACTIONS, text, "something a board gets")


def usual_when(kind: Kind) -> at.When:
    """Return when a fault happens if nobody says it: a question, if it goes with questions."""
    places = PLACES[kind]
    unsaid = [words for place, words in _WHEN_UNSAID.items() if place in places]
    several = at.TWIN_GET in places or not unsaid
    return at.parse(_QUESTION if several else unsaid[0])
