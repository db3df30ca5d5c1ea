"""Harness: questions to the DNS and the NTP server of the bench."""

import dns.flags
import dns.message

from host_tools.emulator.clock import Clock
from host_tools.emulator.faults.action import ACTIONS
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.faults.rule import from_sentence
from host_tools.emulator.names import Names
from host_tools.errors import CommandError
from tests.fuzz.bench import BEGIN
from tests.fuzz.chance import Chance, said

TOKENS = [
    b"\3www\7example\0",
    b"\0\1\0\1",
    b"\0\x1c\0\1",
    b"\xc0\x0c",
    b"\0\0\x29\4\xd0\0\0\0\0\0\0",
    b"\x23",
    b"\x1b",
]
_WHEN = ("it looks up a name", "it asks for the time")


def run(data: bytes) -> None:
    """Answer a datagram, or be silent; never answer an answer, and never at length."""
    chance, faults = Chance(data), Faults()
    kind, sample = chance.below(2), ACTIONS[chance.below(len(ACTIONS))].sample
    if chance.below(2):
        try:
            rule = from_sentence(f"every board, when {_WHEN[kind]}, gets {sample}")
        except CommandError:
            return
        faults.add(rule, BEGIN)
    question = chance.piece()
    if kind:
        answered = Clock(faults).answer(question, "192.0.2.7", BEGIN)
        assert answered is None or len(answered[0]) == 48 <= len(question)
        return
    names = Names({"*.azure-devices.net": "192.0.2.1", "*": "192.0.2.2"}, faults)
    answered = names.answer(question, "192.0.2.7", BEGIN)
    if answered is None:
        return
    answer, late = answered
    assert late >= 0
    assert len(answer) <= 512
    assert answer[:2] == question[:2]
    assert answer[2] & 0x80 > question[2] & 0x80, "an answer to a question"
    assert dns.message.from_wire(answer).flags & dns.flags.QR


_QUESTION = dns.message.make_query("test-docs-hub.azure-devices.net", "A").to_wire()
SEEDS = [
    said(0, 0, 0, _QUESTION),
    said(0, 0, 0, dns.message.make_query("x.example", "AAAA", use_edns=0).to_wire()),
    *(said(kind, at, 1, _QUESTION) for kind in range(2) for at in range(len(ACTIONS))),
    said(1, 0, 0, b"\x23" + bytes(47)),
    *(said(1, at, 1, b"\x1b" + bytes(39) + bytes(range(8))) for at in range(len(ACTIONS))),
]
