"""RFC 2217 as the line to a board's serial port: bytes, their rate, and the reset lines.

Owns the telnet around the bytes, through pyserial's PortManager. Doesn't own the connection
(lines) nor what the reset lines do (reset_circuit).
"""

from serial import rfc2217  # type: ignore[import-untyped]

from host_tools.virtual_board.lines import Client, Port, TcpLine

_IAC = b"\xff"  # with which telnet's commands begin


class Rfc2217Line(TcpLine):
    """A listener for RFC 2217."""

    scheme = "rfc2217"

    @property
    def baud(self) -> int | None:
        """The rate that the client has set."""
        client = self.client
        return client.serial.baudrate if isinstance(client, _Rfc2217Client) else None

    def connection(self) -> Client:
        """Return what talks to the next client."""
        return _Rfc2217Client(self)


class _Rfc2217Client(Client):
    def __init__(self, line: TcpLine):
        super().__init__(line)
        self.serial = _Serial(line.port)
        self._telnet: rfc2217.PortManager

    def accepted(self) -> None:
        self._telnet = rfc2217.PortManager(self.serial, self)

    def write(self, data: bytes) -> None:
        """Send telnet's own bytes."""
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self.line.client is not self:
            return
        start, plain = 0, bytearray()
        while start < len(data):
            if self._is_plain():
                end = data.find(_IAC, start)
                end = len(data) if end < 0 else end
                plain += data[start:end]
                start = end
            if self._is_plain() and data[start : start + 2] == _IAC + _IAC:
                plain += _IAC
                start += 2
            elif start < len(data):
                self._pass_on(plain)  # before a command that may change rate or lines
                plain += b"".join(self._telnet.filter(data[start : start + 1]))
                start += 1
        self._pass_on(plain)

    def _is_plain(self) -> bool:
        return self._telnet.mode is rfc2217.M_NORMAL and self._telnet.suboption is None

    def _pass_on(self, plain: bytearray) -> None:
        if plain:
            self.line.port.received(bytes(plain), self.serial.baudrate)
            plain.clear()

    def send(self, data: bytes) -> None:
        super().send(data.replace(_IAC, _IAC + _IAC))

    def left(self) -> None:
        # both at once: one after the other might pass through a reset
        self.line.port.set_lines(dtr=False, rts=False)


class _Serial:
    """The serial port that pyserial's PortManager manages: rates are noted, lines act."""

    def __init__(self, port: Port):
        self._port = port
        self._dtr = self._rts = False
        self.baudrate = 115200
        self.bytesize, self.parity, self.stopbits = 8, "N", 1
        self.xonxoff = self.rtscts = self.break_condition = False
        self.cts = self.dsr = self.cd = True
        self.ri = False

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, asserted: bool) -> None:
        self._dtr = asserted
        self._port.set_lines(dtr=asserted)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, asserted: bool) -> None:
        self._rts = asserted
        self._port.set_lines(rts=asserted)

    def reset_input_buffer(self) -> None:
        """Nothing is held back here."""

    def reset_output_buffer(self) -> None:
        """Nothing is held back here."""
