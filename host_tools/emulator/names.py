"""Names: a DNS server for the bench, which leads boards to the cloud, or astray.

Owns which name has which address, and the answer to one question. Doesn't own the socket
(serve/datagrams.py) nor DNS's bytes: dnspython reads and writes them. No name is asked elsewhere:
what it does not know does not exist.
Source: RFC 1035, section 4.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.faults import Faults, Trouble
from host_tools.emulator.faults.in_force import Moment
from host_tools.emulator.faults.when import DNS, NAME

PORT = 53
_HEADER = 12  # bytes
_TTL = 5  # seconds: what is wrong now may be right soon
_LARGEST = 512  # bytes of an answer over UDP
_RCODES = {Kind.NXDOMAIN: dns.rcode.NXDOMAIN, Kind.SERVFAIL: dns.rcode.SERVFAIL}


class Names:
    """Answers questions for addresses."""

    def __init__(self, addresses: Mapping[str, str], faults: Faults) -> None:
        """addresses: IPv4 address by name, in which * stands for any letters; the first counts."""
        self._addresses = {name.lower(): address for name, address in addresses.items()}
        self._faults = faults

    def answer(self, question: bytes, address: str, now: float) -> tuple[bytes, float] | None:
        """Return the answer to a datagram from address and the seconds it is late, or None."""
        try:
            message = dns.message.from_wire(question)
            return self._respond(message, address, now)
        except (dns.exception.DNSException, ValueError):
            return _malformed(question)

    def _respond(
        self, question: dns.message.Message, address: str, now: float
    ) -> tuple[bytes, float] | None:
        if question.flags & dns.flags.QR:  # an answer: two servers would talk for ever
            return None
        response = dns.message.make_response(question, recursion_available=True)
        if question.opcode() != dns.opcode.QUERY or len(question.question) != 1:
            response.set_rcode(dns.rcode.NOTIMP)
            return response.to_wire(max_size=_LARGEST), 0
        name = question.question[0].name.to_text(omit_final_dot=True).lower()
        trouble = self._faults.ask(Moment(DNS, NAME, address, now, name=name))
        if trouble and trouble.silent:
            return None
        self._fill(response, name, trouble)
        return response.to_wire(max_size=_LARGEST), trouble.delay if trouble else 0

    def _fill(self, response: dns.message.Message, name: str, trouble: Trouble | None) -> None:
        kind = trouble.action.kind if trouble else None
        known = trouble.action.text if trouble and kind is Kind.ADDRESS else self._address(name)
        if kind in _RCODES:
            response.set_rcode(_RCODES[kind])
        elif known is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif _is_for_ipv4(response):
            asked = response.question[0].name
            response.answer.append(dns.rrset.from_text(asked, _TTL, "IN", "A", known))

    def _address(self, name: str) -> str | None:
        known = (address for glob, address in self._addresses.items() if fnmatchcase(name, glob))
        return next(known, None)


def _is_for_ipv4(message: dns.message.Message) -> bool:
    asked = message.question[0]
    in_class = asked.rdclass in (dns.rdataclass.IN, dns.rdataclass.ANY)
    return in_class and asked.rdtype in (dns.rdatatype.A, dns.rdatatype.ANY)


# ID | flags: answer, recursion desired and available, FORMERR | no question, no answer
def _malformed(question: bytes) -> tuple[bytes, float] | None:
    if len(question) < _HEADER or question[2] & 0x80:
        return None
    return question[:2] + b"\x81\x81" + bytes(8), 0
