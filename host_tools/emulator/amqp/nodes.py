"""Nodes: what a link can lead to, by its address, and how its attach is answered.

Owns the addresses. Doesn't own what happens there (cbs.py, devicebound.py, feedback.py).
Source: "Understand cloud-to-device messaging from an IoT hub" (end points); clients write them
with a capital B or without, with a host before them (uamqp, C#) or without (Node, Java). Answers:
OASIS AMQP 1.0, part 2, sections 2.6.3, 2.7.3.
"""

from typing import Any

from host_tools.emulator.amqp import cbs, devicebound, feedback
from host_tools.emulator.amqp.door import Guest
from host_tools.emulator.amqp.ends import Sink, Well
from host_tools.emulator.amqp.errors import NOT_FOUND, LinkRefused
from host_tools.emulator.amqp.messaging import Source, Target
from host_tools.emulator.amqp.performatives import Attach

SETTLED, UNSETTLED = 1, 0  # modes of a sender
FIRST = 0  # mode of a receiver: it settles at once
_LONGEST = 256  # characters of an address that is said back


class Nodes:
    """All nodes, as one session sees them."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._cbs = cbs.Cbs(guest)

    def sink(self, attach: Attach) -> Sink:
        """Return where a sender's link leads; raise LinkRefused."""
        path = _path(attach.target and attach.target.address)
        if path == cbs.ADDRESS:
            return self._cbs
        self._guest.known()
        if path == devicebound.ADDRESS:
            return devicebound.DeviceBound(self._guest)
        raise LinkRefused(NOT_FOUND, f"{path[:80]!r} takes no messages here: devices speak MQTT")

    def well(self, attach: Attach) -> Well:
        """Return where a receiver's link leads; raise LinkRefused."""
        path = _path(attach.source and attach.source.address)
        if path == cbs.ADDRESS:
            return self._cbs
        if path == feedback.ADDRESS:
            return feedback.FeedbackWell(self._guest)
        self._guest.known()
        if path == feedback.NOTIFICATIONS:
            return feedback.DryWell()
        raise LinkRefused(NOT_FOUND, f"{path[:80]!r} has no messages here: telemetry is not AMQP")


# a link that is refused is attached without its end here, and then detached (2.6.3)
def answer(attach: Attach, leads: bool, largest: int | None = None) -> Attach:
    """Return our side of an attach; largest: bytes of a message that is taken."""
    source = Source(_address(attach.source))
    target = Target(_address(attach.target))
    if attach.receives:
        return Attach(
            attach.name,
            attach.handle,
            False,
            snd_settle_mode=SETTLED if attach.snd_settle_mode == SETTLED else UNSETTLED,
            rcv_settle_mode=attach.rcv_settle_mode,
            source=source if leads else None,
            target=target,
            initial_delivery_count=0,
        )
    return Attach(
        attach.name,
        attach.handle,
        True,
        snd_settle_mode=attach.snd_settle_mode,
        rcv_settle_mode=FIRST,
        source=source,
        target=target if leads else None,
        max_message_size=largest,
    )


def _address(end: Source | Target | None) -> str | None:
    return end.address[:_LONGEST] if end and isinstance(end.address, str) else None


# amqps://{host}/{path}, /{path} or {path}, in any case
def _path(address: Any) -> str:
    if not isinstance(address, str):
        raise LinkRefused(NOT_FOUND, "the link leads nowhere: its address is not a text")
    if "://" in address:
        address = address.partition("://")[2].partition("/")[2]
    return str(address).strip("/").lower()
