"""Wire: a session, and what goes wrong between it and the device.

Owns the way of the bytes: what is held back, cut, bent or lost, the end of a connection that is
not in order, and the count of packets. It stands between the session and whoever carries its
bytes, on both of its sides: to the session it is the door, to the connection it is the session.
With no rule in force it passes all on. Doesn't own the rules (faults.py) nor a socket.
"""

from collections.abc import Callable
from typing import Protocol

from host_tools.emulator.faults import bending
from host_tools.emulator.faults import when as at
from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.brake import Brake
from host_tools.emulator.faults.faults import Faults, Trouble
from host_tools.emulator.faults.in_force import Moment
from host_tools.emulator.faults.peer import FaultyPeer, wrapped
from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.connect import (
    BAD_CREDENTIALS,
    NOT_AUTHORIZED,
    UNAVAILABLE,
    Connect,
)
from host_tools.emulator.mqtt.framing import frame
from host_tools.emulator.mqtt.peer import Hangup, Peer
from host_tools.emulator.mqtt.session import ConnectRefused, Door, Session, Watcher

# what a packet of the device's is answered with
_ASKED = {
    framing.PINGREQ: (at.PING, framing.PINGRESP),
    framing.SUBSCRIBE: (at.SUBSCRIBE, framing.SUBACK),
    framing.UNSUBSCRIBE: (at.UNSUBSCRIBE, framing.UNSUBACK),
}
_ENDS = {
    Kind.DROP: "its socket was dropped, as a rule wants",
    Kind.CLOSE: "its connection was closed, as a rule wants",
    Kind.EXPIRED: "its token expired, as a rule wants",
}


class FaultyDoor(Door, Protocol):
    """Where sessions come in, and the rules of what goes wrong there."""

    faults: Faults


class Wire:
    """One connection's session and its troubles; used as a session is."""

    # thousands of them idle
    __slots__ = (
        "_abort", "_abrupt", "_age", "_armed", "_bent", "_brake", "_carry", "_device_id", "_door",
        "_ending", "_hang_up_now", "_mute", "_over", "_packets_in", "_packets_out", "_since",
        "_tick", "_trace", "faults", "now", "service", "session",
    )  # fmt: skip

    def __init__(
        self,
        door: FaultyDoor,
        send: Callable[[bytes], object],
        hang_up: Callable[[], object],
        abort: Callable[[], object],
        tick: float,
        address: str = "",
        watcher: Watcher | None = None,
    ) -> None:
        """abort: ends the connection at once; the others are Session's."""
        self.faults = door.faults
        self.service = ""
        self.now = 0.0
        self._door = door
        self._carry = send
        self._hang_up_now = hang_up
        self._abort = abort
        self._tick = tick
        self._trace = watcher
        self._device_id = ""
        self._since = 0.0  # CONNECT
        self._age = 0.0  # seconds after it, at the last look
        self._packets_in = self._packets_out = 0
        self._armed: dict[tuple[int, bytes], list[Trouble]] = {}
        self._brake = Brake()
        self._mute = False  # says and hears nothing
        self._bent = False  # mute, slow, or something is held back
        self._over = False  # a rule ended it: what else there is to send is not sent
        self._abrupt = False  # without a word
        self._ending = False  # in order, as soon as nothing is held back
        self.session = Session(self, self._send, self._hang_up, tick, address, watcher)

    # ---- to the connection: a session

    @property
    def closed(self) -> bool:
        """Tell whether all is over: the session, and the way of what was held back."""
        return self.session.closed and not (self._brake or self._mute)

    @property
    def full(self) -> bool:
        """Tell whether so much is held back that the device is not to be listened to."""
        return self._brake.full

    def receive(self, data: bytes, now: float, tick: float) -> None:
        """Take bytes from the device, in chunks of any size."""
        if self.faults.active:
            self.now, self._tick = now, tick
            self.session.watcher = self
        if not self._mute:
            self.session.receive(data, now, tick)

    def expire(self, now: float, tick: float) -> None:
        """Look at the deadlines: the session's, and of what is held back."""
        self.now, self._tick = now, tick
        self.session.expire(now, tick)
        if not self.faults.active:
            self._brake.rate, self.session.watcher = 0, self._trace
        if self._brake:
            self._release()
        self._bent = self._mute or self._brake.rate > 0 or bool(self._brake)
        if self.service:
            self._grow_older(now, tick)

    def close(self, why: str, now: float) -> None:
        """End the connection, from whichever side."""
        self.session.close(why, now)

    def mute(self) -> None:
        """Say and hear nothing any more, and leave the connection as it is."""
        self._mute = self._bent = True
        self._brake.clear()

    # ---- to the session: the door

    def admit(self, connect: Connect, session: Session, now: float) -> Peer:
        """Return the peer that may come in, with all that may go wrong; ConnectRefused."""
        self.service = at.DPS if "/registrations/" in (connect.username or "") else at.HUB
        self._device_id = connect.client_id
        self._since = self._tick
        if connect.client_id:
            self.faults.meet(connect.client_id)
        if self.faults.active:
            self._greet(now)
        return wrapped(self._door.admit(connect, session, now), self)

    def leave(self, session: Session, peer: Peer | None, why: str, now: float) -> None:
        """Note that a session ended."""
        self._door.leave(session, peer.peer if isinstance(peer, FaultyPeer) else peer, why, now)

    def _greet(self, now: float) -> None:
        self._count_in(now)
        trouble = self.ask(at.CONNECT, now)
        if not trouble:
            return
        action = trouble.action
        if action.kind is Kind.CONNACK:
            raise ConnectRefused(action.code)
        if action.kind is Kind.ERROR:
            raise ConnectRefused(_return_code(action.code))
        if action.kind is Kind.EXPIRED:
            raise ConnectRefused(NOT_AUTHORIZED)
        self.strike(trouble)
        self.arm(framing.CONNACK, b"", trouble)

    # ---- to the session: who looks on, as long as there is a rule

    def received(self, first: int, body: bytes, now: float) -> None:
        """Count a packet of the device's; raise Hangup if it is its last."""
        if self._trace:
            self._trace.received(first, body, now)
        if not self.service:  # CONNECT: its time comes when it is read
            return
        self._count_in(now)
        asked = _ASKED.get(first)
        trouble = self.ask(asked[0], now) if asked else None
        if asked and trouble:
            if trouble.action.kind is Kind.ERROR:
                raise Hangup(f"error {trouble.action.code}, as a rule wants")
            self.strike(trouble)
            self.arm(asked[1], b"" if first == framing.PINGREQ else body[:2], trouble)

    def sent(self, data: bytes, now: float) -> None:
        """Pass it on."""
        if self._trace:
            self._trace.sent(data, now)

    def ended(self, why: str, now: float) -> None:
        """Pass it on."""
        if self._trace:
            self._trace.ended(why, now)

    def _count_in(self, now: float) -> None:
        self._packets_in += 1
        count = self._packets_in
        trouble = self.ask(at.PACKET_IN, now, (count - 1, count))
        if trouble:
            self.strike(trouble)

    # ---- to the peer: the line

    def ask(
        self, operation: str, now: float, passed: tuple[float, float] = (0, 0)
    ) -> Trouble | None:
        """Return what goes wrong, if anything does."""
        if not self.faults.expects(self.service, operation):
            return None
        return self.faults.ask(Moment(self.service, operation, self._device_id, now, passed))

    def arm(self, kind: int, key: bytes, trouble: Trouble) -> None:
        """Let trouble befall the packet that is told by kind and key, once it is sent."""
        self._armed.setdefault((kind, key), []).append(trouble)

    def strike(self, trouble: Trouble) -> None:
        """Let trouble befall the connection; raise Hangup if that is its end."""
        kind = trouble.action.kind
        if kind is Kind.HALF_OPEN:
            self.mute()
        elif kind is Kind.SLOW_LINE:
            self._brake.rate, self._bent = trouble.action.size, True
        elif kind in _ENDS:
            self._abrupt = kind is Kind.DROP
            raise Hangup(_ENDS[kind])

    # ---- the bytes' way out

    def _send(self, data: bytes) -> None:
        if not (self.faults.active or self._bent):
            self._carry(data)
            return
        for first, body in bending.packets(data):
            self._pass(first, body)

    def _pass(self, first: int, body: bytes) -> None:
        trouble = self._befallen(first, body)
        if self._mute or self._over or (trouble and trouble.silent):
            return
        if trouble and trouble.action.kind in bending.BENDING:
            self._put(bending.bent(first, body, trouble))
        else:
            self._put(frame(first, body), trouble.delay if trouble else 0)
        if trouble and trouble.action.kind is Kind.TRUNCATED:
            self._end("its packet was cut, as a rule wants")

    def _befallen(self, first: int, body: bytes) -> Trouble | None:
        self._packets_out += 1
        trouble = self._armed_for(bending.key(first, body)) if self._armed else None
        if trouble or self._mute or self._over:
            return trouble
        trouble = self.ask(at.PACKET_OUT, self.now, (self._packets_out - 1, self._packets_out))
        if trouble:
            self._strike_now(trouble)
        return trouble

    def _armed_for(self, key: tuple[int, bytes]) -> Trouble | None:
        troubles = self._armed.pop(key, None)
        if not troubles:
            return None
        if troubles[1:]:
            self._armed[key] = troubles[1:]
        return troubles[0]

    def _put(self, data: bytes, delay: float = 0) -> None:
        if delay or self._brake or self._brake.rate:
            self._bent = True
            self._brake.hold(data, delay, self._tick)
        else:
            self._carry(data)

    def _release(self) -> None:
        data = self._brake.release(self._tick)
        if data:
            self._carry(data)
        if self._ending and not self._brake:
            self._hang_up_now()

    def _hang_up(self) -> None:
        if self._mute:
            return
        if self._abrupt:
            self._abort()
        elif self._brake:
            self._ending = True
        else:
            self._hang_up_now()

    def _grow_older(self, now: float, tick: float) -> None:
        before, self._age = self._age, tick - self._since
        if self._mute or self.session.closed:
            return
        trouble = self.ask(at.STAY, now, (before, self._age))
        if trouble:
            self._strike_now(trouble)

    def _strike_now(self, trouble: Trouble) -> None:
        try:
            self.strike(trouble)
        except Hangup as end:
            self._end(str(end))

    def _end(self, why: str) -> None:
        self._over = True
        self.session.close(why, self.now)


def _return_code(code: int) -> int:
    status = code if code < 1000 else code // 1000
    if status in (401, 403, 404):
        return NOT_AUTHORIZED
    return UNAVAILABLE if status == 429 or status >= 500 else BAD_CREDENTIALS
