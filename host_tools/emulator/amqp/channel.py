"""Channel: one AMQP session of a connection, from its begin to its end.

Owns windows, handles and delivery numbers: which frame may come now, and what is answered. Doesn't
own the connection around it (session.py) nor the state of one link (links.py).
Source: OASIS AMQP 1.0, part 2 (transport), sections 2.5 to 2.7.
"""

from collections import deque
from collections.abc import Callable

from host_tools.emulator.amqp import message
from host_tools.emulator.amqp.composite import Composite
from host_tools.emulator.amqp.door import Guest
from host_tools.emulator.amqp.errors import (
    FRAMING_ERROR,
    HANDLE_IN_USE,
    INVALID_FIELD,
    MESSAGE_SIZE,
    UNATTACHED_HANDLE,
    LinkRefused,
    MessageRefused,
    Violation,
)
from host_tools.emulator.amqp.links import Delivery, Inlet, Outlet, distance, left
from host_tools.emulator.amqp.messaging import Accepted, Error, Received, Rejected
from host_tools.emulator.amqp.nodes import Nodes, answer
from host_tools.emulator.amqp.performatives import (
    Attach,
    Begin,
    Detach,
    Disposition,
    Flow,
    Transfer,
)

HANDLES = 16  # links of a session
WINDOW = 2048  # frames with messages that a client may send before it gets more
_OURS = 0x7FFFFFFF  # frames that we might send: as many as the client has room for
_MASK = 0xFFFFFFFF
_AROUND = 64  # bytes of a frame that are not a message's, at most


class Channel:
    """One session and its links."""

    def __init__(
        self,
        guest: Guest,
        begin: Begin,
        largest: int,
        say: Callable[[Composite, bytes], None],
    ) -> None:
        """largest: bytes of a frame that the client takes; say: sends a frame on this channel."""
        self._nodes = Nodes(guest)
        self._say = say
        self._part = largest - _AROUND
        self._links: dict[int, Inlet | Outlet] = {}
        self._refused: set[int] = set()  # handles that we detached and the client not yet
        self._came = begin.next_outgoing_id  # next-incoming-id
        self._window = WINDOW  # frames that may come
        self._room = begin.incoming_window  # frames that may go
        self._gone = 0  # next-outgoing-id
        self._number = 0  # of the next delivery that goes out
        self._waiting: deque[tuple[Transfer, bytes]] = deque()  # for room

    def begun(self, number: int) -> Begin:
        """Return the answer to the client's begin on channel number."""
        return Begin(
            remote_channel=number,
            next_outgoing_id=self._gone,
            incoming_window=self._window,
            outgoing_window=_OURS,
            handle_max=HANDLES - 1,
        )

    def take(self, performative: Composite, payload: bytes, now: float) -> None:
        """Take what the client says on this channel; raise Violation."""
        match performative:
            case Transfer():
                self._transfer(performative, payload, now)
            case Disposition():
                self._disposition(performative)
            case Flow():
                self._flow(performative)
            case Attach():
                self._attach(performative)
            case Detach():
                self._detach(performative)
            case _:
                raise Violation(FRAMING_ERROR, "a frame came where it has no place")
        self.pump()

    def pump(self) -> None:
        """Send what waits for the client, as far as its credit and window go."""
        self._send_waiting()
        for handle, outlet in list(self._links.items()):
            while isinstance(outlet, Outlet) and not self._waiting and outlet.may_send():
                parcel = outlet.well.draw()
                if parcel is None:
                    break
                self._post(handle, outlet, parcel.message.encode())
                outlet.sent(self._number, parcel.token)
                self._number = self._number + 1 & _MASK
                self._send_waiting()
            if isinstance(outlet, Outlet) and not self._waiting and outlet.drained():
                self._say_flow(handle, drain=True)

    def close(self) -> None:
        """Give back what the client has not taken: the session is over."""
        for link in self._links.values():
            if isinstance(link, Outlet):
                link.close()

    def _post(self, handle: int, outlet: Outlet, data: bytes) -> None:
        parts = [data[at : at + self._part] for at in range(0, len(data), self._part)]
        for place, part in enumerate(parts):
            transfer = Transfer(
                handle,
                delivery_id=self._number,
                delivery_tag=self._number.to_bytes(16, "big"),  # C# reads it as a GUID
                message_format=0,
                settled=outlet.settled,
                more=place < len(parts) - 1,
            )
            self._waiting.append((transfer, part))

    def _send_waiting(self) -> None:
        while self._waiting and self._room:
            self._say(*self._waiting.popleft())
            self._room -= 1
            self._gone = self._gone + 1 & _MASK

    def _attach(self, attach: Attach) -> None:
        if attach.handle >= HANDLES:
            raise Violation(FRAMING_ERROR, f"a session has {HANDLES} handles, from 0")
        if attach.handle in self._links or attach.handle in self._refused:
            raise Violation(HANDLE_IN_USE, "a handle is attached twice")
        if attach.snd_settle_mode > 2 or attach.rcv_settle_mode > 1:
            raise Violation(INVALID_FIELD, "there is no such settle mode")
        try:
            if attach.receives:
                self._links[attach.handle] = Outlet(attach, self._nodes.well(attach))
                self._say(answer(attach, True), b"")
            else:
                sink = self._nodes.sink(attach)
                self._links[attach.handle] = Inlet(attach, sink)
                self._say(answer(attach, True, sink.largest), b"")
                self._say_flow(attach.handle)
        except LinkRefused as refused:
            self._say(answer(attach, False), b"")
            self._refuse(attach.handle, refused)

    def _refuse(self, handle: int, why: LinkRefused) -> None:
        self._links.pop(handle, None)
        self._refused.add(handle)
        self._say(Detach(handle, True, Error.of(why)), b"")

    def _detach(self, detach: Detach) -> None:
        if detach.handle in self._refused:
            self._refused.remove(detach.handle)
            return
        link = self._link(detach.handle)
        if isinstance(link, Outlet):
            link.close()
            self._waiting = deque(one for one in self._waiting if one[0].handle != detach.handle)
        del self._links[detach.handle]
        self._say(Detach(detach.handle, detach.closed), b"")

    def _link(self, handle: int) -> Inlet | Outlet:
        link = self._links.get(handle)
        if link is None:
            raise Violation(UNATTACHED_HANDLE, "a frame names a handle that is not attached")
        return link

    def _transfer(self, transfer: Transfer, payload: bytes, now: float) -> None:
        self._came = self._came + 1 & _MASK
        self._window -= 1
        if self._window <= WINDOW // 2:  # it is never used up, so no client can go beyond it
            self._window = WINDOW
            self._say_flow()
        if transfer.handle in self._refused:  # it was on its way
            return
        inlet = self._link(transfer.handle)
        if isinstance(inlet, Outlet):
            raise Violation(FRAMING_ERROR, "a message came on a link by which the client receives")
        try:
            delivery = inlet.collect(transfer, payload)
        except LinkRefused as refused:
            self._refuse(transfer.handle, refused)
            return
        if delivery:
            self._delivered(inlet, delivery, now)
        if inlet.top_up():
            self._say_flow(transfer.handle)

    # the outcome before anything that the message brings about: uamqp takes an answer of $cbs to
    # a request that is not confirmed as a failure
    def _delivered(self, inlet: Inlet, delivery: Delivery, now: float) -> None:
        state: Composite = Accepted()
        try:
            if delivery.data is None:
                raise MessageRefused(MESSAGE_SIZE, f"at most {inlet.sink.largest} bytes are taken")
            inlet.sink.take(message.parse(delivery.data), now)
        except MessageRefused as refused:
            state = Rejected(Error.of(refused))
        if not delivery.settled:
            self._say(Disposition(True, delivery.number, settled=True, state=state), b"")

    def _disposition(self, disposition: Disposition) -> None:
        if not disposition.receives:  # of what it sent; we have settled that already
            return
        first = disposition.first
        more = distance(first if disposition.last is None else disposition.last, first)
        for link in self._links.values():
            if isinstance(link, Outlet):
                for number in [n for n in link.out if (n - first) & _MASK <= more]:
                    self._settle(link, number, disposition)

    # whoever only says what became of a message wants to hear that it is settled (2.6.12); C#
    # takes any other state than accepted for a failure, also where it gives a message back
    def _settle(self, outlet: Outlet, number: int, said: Disposition) -> None:
        if not said.settled and (said.state is None or isinstance(said.state, Received)):
            return
        token = outlet.out.pop(number)
        if isinstance(said.state, Accepted | Rejected):
            outlet.well.done(token)
        else:
            outlet.well.back(token)
        if not said.settled:
            self._say(Disposition(False, number, settled=True, state=Accepted()), b"")

    # 2.5.6
    def _flow(self, flow: Flow) -> None:
        self._room = left(flow.incoming_window, flow.next_incoming_id, self._gone)
        if flow.handle is None or flow.handle in self._refused:
            handle = None
        else:
            handle, link = flow.handle, self._link(flow.handle)
            if isinstance(link, Outlet):
                link.grant(flow)
        if flow.echo:
            self._say_flow(handle)

    def _say_flow(self, handle: int | None = None, drain: bool = False) -> None:
        link = None if handle is None else self._links[handle]
        flow = Flow(
            next_incoming_id=self._came,
            incoming_window=self._window,
            next_outgoing_id=self._gone,
            outgoing_window=_OURS,
            handle=handle,
            delivery_count=link.count if link else None,
            link_credit=link.credit if link else None,
            drain=drain,
        )
        self._say(flow, b"")
