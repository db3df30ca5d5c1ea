"""When: at which of a board's doings a rule applies.

Owns the names of services and operations, which every part of the cloud that asks for faults
uses, and the phrases for them. Doesn't own which fault goes with which: that is action.py.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from host_tools.emulator.faults.phrases import Phrase, read

# services
DPS, HUB, REST, TLS, DNS, NTP = "dps", "hub", "rest", "tls", "dns", "ntp"

# operations over MQTT: what a board does ...
CONNECT, SUBSCRIBE, UNSUBSCRIBE, PING = "connect", "subscribe", "unsubscribe", "ping"
REGISTER, POLL, LOOK_UP = "register", "poll", "look-up"  # the last is over HTTPS only
TELEMETRY, TWIN_GET, TWIN_PATCH = "telemetry", "twin-get", "twin-patch"
METHOD_ANSWER = "method-answer"
# ... what is done to it
METHOD, MESSAGE, DESIRED = "method", "message", "desired"
# ... and what else there is to count
STAY, PACKET_IN, PACKET_OUT = "stay", "packet-in", "packet-out"
# operations of the other services, one each
HAND_SHAKE, NAME, TIME, REQUEST = "hand-shake", "name", "time", "request"

QUESTIONS = frozenset({REGISTER, POLL, LOOK_UP, TWIN_GET, TWIN_PATCH})
PUSHES = frozenset({METHOD, MESSAGE, DESIRED})
DOINGS = frozenset({CONNECT, SUBSCRIBE, UNSUBSCRIBE, PING, TELEMETRY, METHOD_ANSWER}) | QUESTIONS

_MQTT = frozenset({DPS, HUB})


@dataclass(frozen=True, slots=True)
class When:
    """Some operations at some services."""

    phrase: str
    services: frozenset[str]
    operations: frozenset[str]
    mark: float = 0  # the packet's number, or seconds since CONNECT; 0: none is asked for
    name: str = "*"  # what is looked up, in lower case; * stands for any letters

    def fits(self, passed: tuple[float, float], name: str) -> bool:
        """Tell whether the mark was passed just now, and whether the name is meant."""
        if self.mark and not passed[0] < self.mark <= passed[1]:
            return False
        return self.name == "*" or fnmatchcase(name.lower(), self.name)


def _at(words: str, meaning: str, services: frozenset[str], *operations: str) -> Phrase[When]:
    return Phrase(words, meaning, lambda phrase: When(phrase, services, frozenset(operations)))


WHEN = (
    _at("it connects", "it says CONNECT, to DPS or to a hub", _MQTT, CONNECT),
    _at("it connects to DPS", "it says CONNECT there", frozenset({DPS}), CONNECT),
    _at("it connects to its hub", "it says CONNECT there", frozenset({HUB}), CONNECT),
    _at("it subscribes", "any SUBSCRIBE", _MQTT, SUBSCRIBE),
    _at("it unsubscribes", "any UNSUBSCRIBE", _MQTT, UNSUBSCRIBE),
    _at("it registers", "over MQTT or HTTPS", frozenset({DPS}), REGISTER),
    _at("it asks again", "whether DPS has assigned it by now", frozenset({DPS}), POLL),
    _at("it asks for its assignment", "the look-up over HTTPS", frozenset({DPS}), LOOK_UP),
    _at("it sends telemetry", "", frozenset({HUB}), TELEMETRY),
    _at("it asks for its twin", "", frozenset({HUB}), TWIN_GET),
    _at("it reports", "properties, to its twin", frozenset({HUB}), TWIN_PATCH),
    _at("it answers a method", "", frozenset({HUB}), METHOD_ANSWER),
    _at("a method is called", "on it", frozenset({HUB}), METHOD),
    _at("a message is sent to it", "from the cloud", frozenset({HUB}), MESSAGE),
    _at("its twin is changed", "desired properties are on their way", frozenset({HUB}), DESIRED),
    _at("it pings", "PINGREQ", _MQTT, PING),
    _at(
        "it asks for anything",
        "it registers, asks again, asks for its twin or reports",
        _MQTT,
        *QUESTIONS,
    ),
    _at("it does anything", "all that stands above", _MQTT, *DOINGS, *PUSHES),
    Phrase(
        "it sends its {nth} packet",
        "counted from CONNECT, which is the first",
        lambda phrase, n: When(phrase, _MQTT, frozenset({PACKET_IN}), n),
    ),
    Phrase(
        "it is sent its {nth} packet",
        "counted from CONNACK, which is the first",
        lambda phrase, n: When(phrase, _MQTT, frozenset({PACKET_OUT}), n),
    ),
    Phrase(
        "it has been connected for {time}",
        "once a connection; to a quarter of a second",
        lambda phrase, span: When(phrase, _MQTT, frozenset({STAY}), max(span, 0.001)),
    ),
    _at("it shakes hands", "TLS, with whichever name", frozenset({TLS}), HAND_SHAKE),
    Phrase(
        "it shakes hands with {dialled}",
        "TLS, with the name it dials; `*` stands for any letters",
        lambda phrase, name: When(
            phrase, frozenset({TLS}), frozenset({HAND_SHAKE}), name=name.lower()
        ),
    ),
    _at("it looks up a name", "any DNS question", frozenset({DNS}), NAME),
    Phrase(
        "it looks up {dialled}",
        "a DNS question for this name; `*` stands for any letters",
        lambda phrase, name: When(phrase, frozenset({DNS}), frozenset({NAME}), name=name.lower()),
    ),
    _at("it asks for the time", "an NTP question", frozenset({NTP}), TIME),
    _at(
        "a program calls the service API", "about it, if about a board", frozenset({REST}), REQUEST
    ),
)


def parse(text: str) -> When:
    """Return what text names; raise PhraseError."""
    return read(WHEN, text, "something a board does")
