"""Links: one way for messages through a session, from the client or to it.

Owns credit, how deliveries are put together and what may be outstanding. Doesn't own the session
around them (channel.py) nor where messages end (nodes.py).
Source: OASIS AMQP 1.0, part 2 (transport), sections 2.6 and 2.7.3 to 2.7.5.
"""

from collections.abc import Hashable
from typing import NamedTuple

from host_tools.emulator.amqp.ends import Sink, Well
from host_tools.emulator.amqp.errors import (
    INVALID_FIELD,
    NOT_ALLOWED,
    NOT_IMPLEMENTED,
    LinkRefused,
    Violation,
)
from host_tools.emulator.amqp.nodes import SETTLED
from host_tools.emulator.amqp.performatives import Attach, Flow, Transfer

CREDIT = 100  # messages a client may send before it gets more
_MASK = 0xFFFFFFFF
_MOST_OUT = 16  # messages for a client that it has neither taken nor refused
_LARGEST_TAG = 32  # bytes (2.8.7)


def distance(newer: int, older: int) -> int:
    """Return how far one number of 32 bits is ahead of another; 0 if it is behind."""
    ahead = (newer - older) & _MASK
    return ahead if ahead < 1 << 31 else 0


def left(granted: int, seen: int | None, sent: int) -> int:
    """Return what is left of a window or credit that counts from what the other side has seen."""
    return max(granted - distance(sent, seen or 0), 0)


class Delivery(NamedTuple):
    """A message that came, whole."""

    number: int
    settled: bool
    data: bytes | None  # None: more than its sink takes


class Inlet:
    """A link by which a client sends."""

    def __init__(self, attach: Attach, sink: Sink) -> None:
        self.sink = sink
        self.count = attach.initial_delivery_count or 0
        self.credit = CREDIT
        self._first: Transfer | None = None  # of the delivery that is not whole yet
        self._data = bytearray()
        self._fits = True

    def collect(self, transfer: Transfer, payload: bytes) -> Delivery | None:
        """Take a part of a message; return the message if it was the last one.

        Raises LinkRefused and Violation.
        """
        first = self._begun(transfer)
        self._fits = self._fits and len(self._data) + len(payload) <= self.sink.largest
        self._data += payload if self._fits else b""
        if transfer.more and not transfer.aborted:
            return None
        self._first = None
        if transfer.aborted:
            return None
        assert first.delivery_id is not None
        whole = bytes(self._data) if self._fits else None
        return Delivery(first.delivery_id, first.settled or transfer.settled, whole)

    # what only the first part must say, later ones may say again (2.7.5)
    def _begun(self, transfer: Transfer) -> Transfer:
        if self._first:
            if transfer.delivery_id not in (None, self._first.delivery_id):
                raise Violation(NOT_ALLOWED, "a message begins before the last one is whole")
            return self._first
        if transfer.delivery_id is None or transfer.delivery_tag is None:
            raise Violation(INVALID_FIELD, "a message begins without a delivery-id or its tag")
        if len(transfer.delivery_tag) > _LARGEST_TAG:
            raise Violation(INVALID_FIELD, f"a delivery-tag has more than {_LARGEST_TAG} bytes")
        if transfer.message_format or transfer.resume:
            raise LinkRefused(NOT_IMPLEMENTED, "only whole messages of format 0 are taken")
        self.credit -= 1
        self.count = self.count + 1 & _MASK
        self._first, self._data, self._fits = transfer, bytearray(), True
        return transfer

    # before it is used up: as every message is done with when the next one comes, nobody is held
    # to it
    def top_up(self) -> bool:
        """Give credit again if it runs out; tell whether a flow must say so."""
        if self.credit > CREDIT // 2:
            return False
        self.credit = CREDIT
        return True


class Outlet:
    """A link by which a client receives."""

    def __init__(self, attach: Attach, well: Well) -> None:
        self.well = well
        self.settled = attach.snd_settle_mode == SETTLED
        self.count = 0
        self.credit = 0
        self.drain = False
        self.out: dict[int, Hashable] = {}  # the well's token by delivery-id

    # 2.6.7
    def grant(self, flow: Flow) -> None:
        """Take the credit that a flow gives."""
        if flow.link_credit is not None:
            self.credit = left(flow.link_credit, flow.delivery_count, self.count)
            self.drain = flow.drain

    def may_send(self) -> bool:
        """Tell whether one more message may go out."""
        return self.credit > 0 and len(self.out) < _MOST_OUT

    def sent(self, number: int, token: Hashable) -> None:
        """Note that a message is on its way."""
        self.credit -= 1
        self.count = self.count + 1 & _MASK
        if self.settled:
            self.well.done(token)
        else:
            self.out[number] = token

    def drained(self) -> bool:
        """Use up what credit is left, if the receiver asked for that; tell whether it did."""
        if not self.drain:
            return False
        self.count, self.credit, self.drain = self.count + self.credit & _MASK, 0, False
        return True

    def close(self) -> None:
        """Give back what the receiver has not taken."""
        for token in reversed(self.out.values()):
            self.well.back(token)
        self.out.clear()
