"""rfc2217:// as pyserial has it, but without its waits.

pyserial's own looks every 50 ms whether an answer came, negotiates all parameters anew whenever a
time-out is set (esptool does that twice per command) and reads byte by byte through a queue. This
one waits on the socket, renegotiates when a parameter changed, reads in bulk and has no thread.
"""

import struct
import threading
from collections.abc import Callable
from typing import Any

from serial import SerialException, rfc2217  # type: ignore[import-untyped]
from serial.serialutil import Timeout  # type: ignore[import-untyped]

from host_tools.serial_protocols.inbox import Inbox, InboxPort, connect

_IAC, _SB, _SE = rfc2217.IAC, rfc2217.SB, rfc2217.SE
_OPTIONS = (rfc2217.DO, rfc2217.DONT, rfc2217.WILL, rfc2217.WONT)
_LONGEST = 1 << 12  # bytes of a subnegotiation


class Serial(InboxPort, rfc2217.Serial):  # type: ignore[misc]
    """A remote serial port."""

    _socket: Any

    def open(self) -> None:
        """Connect and negotiate; SerialException."""
        if self._port is None or self.is_open:
            raise SerialException("Port must be configured before, and opened once")
        self.logger, self._network_timeout = None, 10
        self._ignore_set_control_answer = self._poll_modem_state = False
        self._socket = connect(self.from_url(self.portstr), self.portstr)
        self._unparsed = bytearray()
        self._inbox = Inbox(self._socket, self._decode)
        self._write_lock = threading.Lock()
        self._applied: tuple[object, ...] | None = None
        self._set_out()
        self.is_open = True
        try:
            self._negotiate()
        except Exception:
            self.close()
            raise

    def _set_out(self) -> None:
        """Start with what RFC 2217 lets two ends agree upon."""
        option, setting = rfc2217.TelnetOption, rfc2217.TelnetSubnegotiation
        we = (rfc2217.WILL, rfc2217.WONT, rfc2217.DO, rfc2217.DONT)
        they = (rfc2217.DO, rfc2217.DONT, rfc2217.WILL, rfc2217.WONT)
        ask, may = rfc2217.REQUESTED, rfc2217.INACTIVE
        self._mandatory = option(self, "we-RFC2217", rfc2217.COM_PORT_OPTION, *we, ask)
        self._telnet_options = [
            option(self, "ECHO", rfc2217.ECHO, *they, ask),
            option(self, "we-SGA", rfc2217.SGA, *we, ask),
            option(self, "they-SGA", rfc2217.SGA, *they, ask),
            option(self, "they-BINARY", rfc2217.BINARY, *they, may),
            option(self, "they-RFC2217", rfc2217.COM_PORT_OPTION, *they, ask),
            option(self, "we-BINARY", rfc2217.BINARY, *we, may),
            self._mandatory,
        ]
        self._rfc2217_port_settings = {
            name: setting(self, name, code, answer)
            for name, code, answer in (
                ("baudrate", rfc2217.SET_BAUDRATE, rfc2217.SERVER_SET_BAUDRATE),
                ("datasize", rfc2217.SET_DATASIZE, rfc2217.SERVER_SET_DATASIZE),
                ("parity", rfc2217.SET_PARITY, rfc2217.SERVER_SET_PARITY),
                ("stopsize", rfc2217.SET_STOPSIZE, rfc2217.SERVER_SET_STOPSIZE),
            )
        }
        self._rfc2217_options = {
            **self._rfc2217_port_settings,
            "purge": setting(self, "purge", rfc2217.PURGE_DATA, rfc2217.SERVER_PURGE_DATA),
            "control": setting(self, "control", rfc2217.SET_CONTROL, rfc2217.SERVER_SET_CONTROL),
        }
        self._linestate, self._modemstate = 0, None
        self._modemstate_timeout = Timeout(-1)
        self._remote_suspend_flow = False

    def _negotiate(self) -> None:
        for option in self._telnet_options:
            if option.state is rfc2217.REQUESTED:
                self.telnet_send_option(option.send_yes, option.option)
        self._wait(lambda: self._mandatory.active, "it does not speak RFC 2217")
        self._reconfigure_port()
        if not self._dsrdtr:
            self._update_dtr_state()
        if not self._rtscts:
            self._update_rts_state()
        self.reset_input_buffer()

    def _reconfigure_port(self) -> None:
        """Negotiate what has changed since the last time: for a time-out alone, nothing."""
        if self._socket is None:
            raise SerialException("Can only operate on open ports")
        if self._write_timeout is not None:
            raise NotImplementedError("write_timeout is currently not supported")
        flow = self._flow()
        wanted = (self._baudrate, self._bytesize, self._parity, self._stopbits, flow)
        if wanted == self._applied:
            return
        for name, value in self._values().items():
            self._rfc2217_port_settings[name].set(value)
        settings = self._rfc2217_port_settings.values()
        self._wait(lambda: all(item.is_ready() for item in settings), "it refuses this rate")
        self.rfc2217_set_control(flow)
        self._applied = wanted

    def _values(self) -> dict[str, bytes]:
        return {
            "baudrate": struct.pack("!I", self._baudrate),
            "datasize": struct.pack("!B", self._bytesize),
            "parity": struct.pack("!B", rfc2217.RFC2217_PARITY_MAP[self._parity]),
            "stopsize": struct.pack("!B", rfc2217.RFC2217_STOPBIT_MAP[self._stopbits]),
        }

    def _flow(self) -> bytes:
        if self._rtscts and self._xonxoff:
            raise ValueError("xonxoff and rtscts together are not supported")
        if self._rtscts:
            return bytes(rfc2217.SET_CONTROL_USE_HW_FLOW_CONTROL)
        if self._xonxoff:
            return bytes(rfc2217.SET_CONTROL_USE_SW_FLOW_CONTROL)
        return bytes(rfc2217.SET_CONTROL_USE_NO_FLOW_CONTROL)

    def close(self) -> None:
        """Disconnect."""
        self.is_open = False
        if self._socket:
            self._inbox.close()
            self._socket.close()
            self._socket = None

    def reset_input_buffer(self) -> None:
        """Forget what has come, here and at the other end."""
        self._check()
        self.rfc2217_send_purge(rfc2217.PURGE_RECEIVE_BUFFER)
        self._inbox.data.clear()

    def get_modem_state(self) -> int:
        """Return the last state of CTS, DSR, RI and CD that the other end told."""
        self._wait(lambda: self._modemstate is not None, "it tells no modem state")
        self._inbox.waiting()
        return int(self._modemstate or 0)

    def rfc2217_send_purge(self, value: bytes) -> None:
        """Have a buffer at the other end emptied."""
        self._ask("purge", value)

    def rfc2217_set_control(self, value: bytes) -> None:
        """Set a line or the kind of flow control."""
        self._ask("control", value)

    def _ask(self, name: str, value: bytes) -> None:
        item = self._rfc2217_options[name]
        item.set(value)
        if not self._ignore_set_control_answer:
            self._wait(item.is_ready, f"it does not answer to {name}")

    def _wait(self, ready: Callable[[], bool], why: str) -> None:
        left = float(self._network_timeout)
        while not ready():
            if left <= 0:
                raise SerialException(f"{self.portstr}: {why}")
            _, left = self._inbox.look(left)
            if self._inbox.ended:
                raise self._closed()

    def _internal_raw_write(self, data: bytes) -> None:
        try:
            super()._internal_raw_write(data)
        except OSError:
            raise self._closed() from None

    def _closed(self) -> SerialException:
        """Return why the connection is gone, in the words of the other end if it had any."""
        self._inbox.waiting()
        lines = bytes(self._inbox.data).decode(errors="replace").strip().splitlines()
        said = lines[0] if lines and lines[0].isprintable() else ""
        if not said and not self._mandatory.active:
            said = "it closes the connection, and does not speak RFC 2217"
        return SerialException(f"{self.portstr}: {said[:200] or 'it closes the connection'}")

    # - - - telnet: what comes

    def _decode(self, came: bytes) -> bytes:
        """Return the data in what came, and do as the commands in it say."""
        self._unparsed += came
        data = bytearray()
        while self._unparsed:
            command = self._unparsed.find(_IAC)
            if command:
                end = command if command > 0 else len(self._unparsed)
                data += self._unparsed[:end]
                del self._unparsed[:end]
                continue
            length = self._command(data)
            if not length:
                break  # the rest is still on its way
            del self._unparsed[:length]
        return bytes(data)

    def _command(self, data: bytearray) -> int:
        """Do the command that has come first; return its length, 0 if it is not whole yet."""
        code = bytes(self._unparsed[1:2])
        if code == _IAC:
            data += _IAC
        elif code == _SB:
            return self._subnegotiation()
        elif code in _OPTIONS:
            option = bytes(self._unparsed[2:3])
            if option:
                self._telnet_negotiate_option(code, option)
            return 3 if option else 0
        return 2 if code else 0

    def _subnegotiation(self) -> int:
        end = 2
        while True:
            end = self._unparsed.find(_IAC, end)
            if end < 0 or end + 1 >= len(self._unparsed):
                if len(self._unparsed) > _LONGEST:
                    raise SerialException(f"{self.portstr}: it does not speak RFC 2217")
                return 0
            if self._unparsed[end + 1] == _SE[0]:
                content = bytes(self._unparsed[2:end]).replace(_IAC + _IAC, _IAC)
                self._telnet_process_subnegotiation(content)
                return int(end) + 2
            end += 2
