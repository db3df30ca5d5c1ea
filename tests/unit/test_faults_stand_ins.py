"""DNS and NTP for the bench: right answers, wrong ones on demand, and no harm from any bytes."""

import struct

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.clock import Clock, timestamp
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.names import Names

NOW = 1_700_000_000.25
SINCE_1900 = 2_208_988_800
BOARD = "192.0.2.7"
ADDRESSES = {"*.azure-devices.net": "192.0.2.1", "pool.ntp.org": "192.0.2.2"}
ASKED = b"\x01\x02\x03\x04\x05\x06\x07\x08"
QUESTION = b"\x23\x00\x06\x20" + bytes(36) + ASKED  # version 4, client


def faults_of(*rules):
    faults = Faults()
    for rule in rules:
        faults.add(Rule.from_json(rule), NOW)
    return faults


def asked(*rules, name="hub.azure-devices.net", kind="A", board=BOARD):
    """Ask for a name; return rcode, addresses and how late the answer is."""
    query = dns.message.make_query(name, kind)
    answer = Names(ADDRESSES, faults_of(*rules)).answer(query.to_wire(), board, NOW)
    if answer is None:
        return None
    message = dns.message.from_wire(answer[0])
    assert query.is_response(message)
    found = [item.to_text() for rrset in message.answer for item in rrset]
    return dns.rcode.to_text(message.rcode()), found, answer[1]


def test_a_name_has_its_address():
    assert asked() == ("NOERROR", ["192.0.2.1"], 0)
    assert asked(name="Pool.NTP.org") == ("NOERROR", ["192.0.2.2"], 0)
    assert asked(kind="ANY") == ("NOERROR", ["192.0.2.1"], 0)


def test_a_name_without_an_ipv6_address_exists():
    assert asked(kind="AAAA") == ("NOERROR", [], 0)


def test_a_name_that_nobody_gave_does_not_exist():
    assert asked(name="example.org") == ("NXDOMAIN", [], 0)


@pytest.mark.parametrize(
    ("gets", "answer"),
    [
        ("NXDOMAIN", ("NXDOMAIN", [], 0)),
        ("SERVFAIL", ("SERVFAIL", [], 0)),
        ("the address 203.0.113.9", ("NOERROR", ["203.0.113.9"], 0)),
    ],
)
def test_a_wrong_answer(gets, answer):
    assert asked(f"every board gets {gets}") == answer
    assert asked(f"every board, when it looks up other.*, gets {gets}")[1] == ["192.0.2.1"]
    assert asked(f"192.0.2.*, when it looks up *.azure-devices.net, gets {gets}") == answer
    assert asked(f"198.51.100.1, when it looks up a name, gets {gets}")[1] == ["192.0.2.1"]


def test_a_wrong_address_for_a_name_that_does_not_exist():
    rule = "every board gets the address 203.0.113.9"
    assert asked(rule, name="example.org") == ("NOERROR", ["203.0.113.9"], 0)


def test_no_answer_and_a_late_one():
    assert asked("every board, when it looks up a name, gets no answer") is None
    late = asked("every board, when it looks up a name, gets its answer 2 s late")
    assert late == ("NOERROR", ["192.0.2.1"], 2)


def respond(data):
    return Names(ADDRESSES, Faults()).answer(data, BOARD, NOW)


def test_an_answer_is_not_answered():
    response = dns.message.make_response(dns.message.make_query("a.example", "A"))
    assert respond(response.to_wire()) is None


def test_what_is_not_a_question_for_one_name_is_not_implemented():
    update = dns.message.make_query("a.example", "A")
    update.set_opcode(dns.opcode.STATUS)
    two = dns.message.make_query("a.example", "A")
    two.question.append(dns.rrset.RRset(two.question[0].name, 1, dns.rdatatype.AAAA))
    for message in (update, two):
        answer = dns.message.from_wire(respond(message.to_wire())[0])
        assert answer.rcode() == dns.rcode.NOTIMP


def test_a_malformed_question_is_told_so():
    query = dns.message.make_query("a.example", "A").to_wire()
    answer = dns.message.from_wire(respond(query[:-3])[0])
    assert (answer.id, answer.rcode()) == (int.from_bytes(query[:2], "big"), dns.rcode.FORMERR)
    assert respond(query[:11]) is None


@given(st.binary(max_size=80) | st.binary(max_size=40).map(
    lambda tail: dns.message.make_query("hub.azure-devices.net", "A", use_edns=True).to_wire()
    + tail
))  # fmt: skip
def test_any_datagram_gets_a_message_or_nothing_from_dns(data):
    answer = respond(data)
    if answer is not None:
        assert dns.message.from_wire(answer[0]).flags & dns.flags.QR
        assert answer[0][:2] == data[:2]


def told(*rules, question=QUESTION):
    """Ask for the time; return the fields of the answer and how late it is."""
    answer = Clock(faults_of(*rules)).answer(question, BOARD, NOW)
    if answer is None:
        return None
    data, late = answer
    first, stratum, _, _, _, _, reference = struct.unpack("!BBbbII4s", data[:16])
    stamps = [int.from_bytes(data[at : at + 8], "big") / (1 << 32) for at in (16, 24, 32, 40)]
    assert len(data) == 48
    assert first & 0x3F == 0x24, "version 4, server"
    return {
        "leap": first >> 6,
        "stratum": stratum,
        "reference": reference,
        "origin": data[24:32],
        "transmit": stamps[3],
        "late": late,
    }


def test_the_time_is_told():
    assert told() == {
        "leap": 0,
        "stratum": 1,
        "reference": b"LOCL",
        "origin": ASKED,
        "transmit": NOW + SINCE_1900,
        "late": 0,
    }


@pytest.mark.parametrize(("gets", "by"), [("1 h ahead", 3600), ("100 s behind", -100)])
def test_the_time_is_wrong(gets, by):
    said = told(f"every board, when it asks for the time, gets a clock {gets}")
    assert said["transmit"] - SINCE_1900 == NOW + by


@pytest.mark.parametrize("code", ["RATE", "DENY", "RSTR"])
def test_the_kiss_of_death(code):
    said = told(f"every board gets the kiss of death {code}")
    assert (said["stratum"], said["leap"], said["reference"]) == (0, 3, code.encode())
    assert (said["origin"], said["transmit"]) == (ASKED, int.from_bytes(ASKED, "big") / (1 << 32))


def test_an_unsynchronised_clock():
    said = told("every board gets an unsynchronised clock")
    assert (said["stratum"], said["leap"]) == (16, 3)


def test_a_bogus_packet():
    said = told("every board gets a bogus packet")
    assert said["origin"] != ASKED
    assert said["transmit"] == 0


def test_no_time_and_a_late_one():
    assert told("every board, when it asks for the time, gets no answer") is None
    late = told("every board, when it asks for the time, gets its answer 1 s late")
    assert late["late"] == 1


def test_only_clients_are_answered():
    assert told(question=QUESTION[:47]) is None
    assert told(question=b"\x24" + QUESTION[1:]) is None


def test_the_version_asked_for_is_the_one_that_answers():
    data, _ = Clock(Faults()).answer(b"\x1b" + bytes(47), BOARD, NOW)
    assert data[0] == 0x1C


def test_time_goes_on_after_2036():
    assert timestamp(2_085_978_496) == bytes(8)


@given(st.binary(max_size=100))
def test_any_datagram_gets_48_bytes_or_nothing_from_ntp(data):
    answer = Clock(Faults()).answer(data, BOARD, NOW)
    assert answer is None or len(answer[0]) == 48
